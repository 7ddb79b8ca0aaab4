"""`ckptstore threads list`, `show`, `state`, `diff`, `delete`, `copy` and `erase`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import Any

import click

from ckptstore.cli.options import database_options, open_store, store_options
from ckptstore.cli.reading import parse_filter, parse_id, reading_store, shows_data
from ckptstore.cli.tables import Column, count, json_option, moment, print_json, print_table
from ckptstore.cli.thread_diff import diff
from ckptstore.cli.thread_erase import erase
from ckptstore.cli.thread_state import state
from ckptstore.cli.thread_tree import show
from ckptstore.cli.transfer import parse_time
from ckptstore.errors import InvalidConfig
from ckptstore.inspection.outline import require_thread
from ckptstore.langgraph.structure.as_text import byte_count, plural
from ckptstore.maintenance.reindex import stored_keys
from ckptstore.reads.threads import ThreadConditions, ThreadOrder
from ckptstore.records import ThreadInfo
from ckptstore.runtime.steps import drive
from ckptstore.store.listing import Listing, ThreadPages
from ckptstore.store.store import Store
from ckptstore.tags.filters import Filter
from ckptstore.tags.keys import EVERYTHING

_COLUMNS = (
    Column("thread", folded=True),
    Column("checkpoints", right=True),
    Column("size", right=True),
    Column("last activity"),
    Column("created"),
)


@click.group()
def threads() -> None:
    """Look at threads, delete, copy and erase them."""


@threads.command("list")
@database_options
@click.option("--filter", "wanted", callback=parse_filter, help="Only threads with a checkpoint that matches this filter, in JSON.")
@click.option("--contains", "part", callback=parse_id, help="Only threads whose id contains this text.")
@click.option("--active-since", callback=parse_time, help="Only threads that were written to since: 2026-01-31, or with a time.")
@click.option("--active-before", callback=parse_time, help="Only threads that were not written to since.")
@click.option("--least-size", type=click.IntRange(min=0), help="Only threads whose checkpoints added so many bytes.")
@click.option(
    "--order",
    type=click.Choice(["updated_at", "thread_id"]),
    default="updated_at",
    show_default=True,
    help="The most recently active first, or by id.",
)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many threads.")
@click.option("--after", callback=parse_id, help="Only threads after this one, the last of the page before.")
@json_option
@shows_data
def list_(
    url: str, in_schema: str | None, wanted: Any, order: ThreadOrder, limit: int, after: str | None, as_json: bool, **conditions: Any
) -> None:
    """List threads with their number of checkpoints, size and times."""
    with reading_store(url, in_schema, None) as store:
        filter_ = wanted(store) if wanted is not None else Filter()
        last = None if after is None else drive(require_thread(store, after))
        found = list(Listing(lambda: iter(ThreadPages(store, filter_, order, limit + 1, last, ThreadConditions(**conditions)))))
    page, more = found[:limit], len(found) > limit
    if as_json:
        print_json({"threads": [asdict(thread) for thread in page], "next": page[-1].thread_id if more else None})
        return
    if not page:
        click.echo(_none_found(wanted, conditions))
        return
    print_table(_COLUMNS, [_row(thread) for thread in page])
    if more:
        click.echo(f"more: --after {page[-1].thread_id!r}")


def _none_found(wanted: Any, conditions: dict[str, Any]) -> str:
    if any(value is not None for value in conditions.values()):
        return "no such thread"
    return "no threads" if wanted is None else "no thread has a checkpoint that matches the filter"


def _row(thread: ThreadInfo) -> list[str]:
    times = [moment(time) for time in (thread.updated_at, thread.created_at)]
    return [thread.thread_id, count(thread.checkpoints), byte_count(thread.size), *times]


@threads.command()
@database_options
@click.argument("thread_id", callback=parse_id)
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
@shows_data
def delete(url: str, in_schema: str | None, thread_id: str, yes: bool, as_json: bool) -> None:
    """Delete a thread with everything that it has.

    Blobs that nothing refers to any more are deleted by later runs of `ckptstore blobs collect` or `prune`.
    """
    with reading_store(url, in_schema, None) as store:
        thread = drive(require_thread(store, thread_id))
        if not yes:
            click.confirm(f"delete thread {thread_id!r} with {plural(thread.checkpoints, 'checkpoint')}?", abort=True, err=True)
        deleted = drive(store.delete_thread(thread_id))
    report = {"thread_id": thread_id, "checkpoints": deleted.checkpoints, "writes": deleted.writes}
    if as_json:
        print_json(report)
    else:
        click.echo(f"thread {thread_id!r} deleted: {plural(deleted.checkpoints, 'checkpoint')}, {plural(deleted.writes, 'write')}")


@threads.command()
@store_options
@click.argument("source", callback=parse_id)
@click.argument("target", callback=parse_id)
@click.option("--merge", is_flag=True, help="Also if the target has checkpoints: rows that it has already stay as they are.")
@json_option
@shows_data
def copy(url: str, in_schema: str | None, blob_url: str | None, source: str, target: str, merge: bool, as_json: bool) -> None:
    """Copy a thread to another thread id of the same database; both share their blobs.

    `ckptstore copy --thread` copies threads to another database.
    """
    with reading_store(url, in_schema, blob_url) as store:
        tag_keys = store.runner.read(stored_keys).result() or EVERYTHING
        drive(require_thread(store, source))
        _require_new(store, source, target, merge=merge)
    with open_store(url, in_schema, blob_url, tag_keys) as store:
        checkpoints = drive(store.copy_thread(source, target))
    if as_json:
        print_json({"source": source, "target": target, "checkpoints": checkpoints})
    else:
        click.echo(f"thread {source!r} copied to {target!r}, which has {plural(checkpoints, 'checkpoint')}")


def _require_new(store: Store, source: str, target: str, *, merge: bool) -> None:
    if source == target:
        raise InvalidConfig("a thread can't be copied to itself; give another id")
    with suppress(InvalidConfig):
        there = drive(require_thread(store, target))
        if there.checkpoints and not merge:
            raise click.ClickException(
                f"there is a thread {target!r} already, with {plural(there.checkpoints, 'checkpoint')}; choose another id, "
                "delete it first, or add to it: --merge"
            )


for command in (show, state, diff, erase):
    threads.add_command(command)
