"""`ckptstore threads show`: the tree of a thread's checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import click
from rich.text import Text

from ckptstore.cli.options import database_options
from ckptstore.cli.reading import ns_option, parse_id, reading_store, shows_data
from ckptstore.cli.tables import Column, console, json_option, moment, print_json, print_table
from ckptstore.inspection.lanes import Drawn, draw
from ckptstore.inspection.outline import OutlinedCheckpoint, Parent, ThreadPage, thread_page
from ckptstore.langgraph.inspection.steps import Step, short_namespace, step_of
from ckptstore.langgraph.structure.as_text import byte_count, plural, printable
from ckptstore.records import CheckpointKey
from ckptstore.runtime.steps import drive

# The first characters of an id are its time, which tells a thread's checkpoints apart.
_SHORT_ID = 18
_WIDE = 118


class _Signs(NamedTuple):
    """What a tree is drawn with."""

    checkpoint: str
    #: One without a parent: there a thread, or a subgraph, began.
    first: str
    passing: str
    fork: str
    #: Behind a checkpoint whose parent was pruned.
    gap: str


_UNICODE = _Signs(
    "\N{BLACK CIRCLE}",
    "\N{WHITE CIRCLE}",
    "\N{BOX DRAWINGS LIGHT VERTICAL}",
    "\N{BOX DRAWINGS LIGHT UP AND LEFT}",
    "\N{BOX DRAWINGS LIGHT TRIPLE DASH VERTICAL}",
)
_ASCII = _Signs("*", "o", "|", "/", ":")


@click.command()
@database_options
@click.argument("thread_id", callback=parse_id)
@ns_option
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many checkpoints.")
@click.option("--before", callback=parse_id, help="Only checkpoints before this one, the last of the page before.")
@json_option
@shows_data
def show(url: str, in_schema: str | None, thread_id: str, checkpoint_ns: str | None, limit: int, before: str | None, as_json: bool) -> None:
    """Show the checkpoints of a thread as a tree, newest first.

    Each has its source, step, time, the bytes that it added, and what tasks wrote to it.
    """
    with reading_store(url, in_schema, None) as store:
        page = drive(thread_page(store, thread_id, checkpoint_ns, before, limit))
    if as_json:
        print_json(_as_json(page))
    else:
        _print(page)


def _as_json(page: ThreadPage) -> dict[str, Any]:
    thread = page.thread
    last = page.checkpoints[-1].key.checkpoint_id if page.more else None
    times = {"created_at": thread.created_at, "updated_at": thread.updated_at}
    about = {"thread_id": thread.thread_id, **times, "checkpoint_count": thread.checkpoints, "size": thread.size}
    return {**about, "checkpoints": [_checkpoint_as_json(each) for each in page.checkpoints], "next": last}


def _checkpoint_as_json(checkpoint: OutlinedCheckpoint) -> dict[str, Any]:
    step = step_of(checkpoint)
    return {
        "checkpoint_id": checkpoint.key.checkpoint_id,
        "checkpoint_ns": checkpoint.key.checkpoint_ns,
        "parent_checkpoint_id": checkpoint.parent_checkpoint_id,
        "parent": checkpoint.parent,
        "created_at": checkpoint.created_at,
        "size": checkpoint.size,
        "channels": checkpoint.channels,
        "source": step.source,
        "step": step.step,
        "ran_under": step.ran_under,
        "interrupts": step.interrupts,
        "errors": step.errors,
        "writes": [writes._asdict() for writes in checkpoint.writes],
    }


def _print(page: ThreadPage) -> None:
    thread = page.thread
    click.echo(
        f"thread {printable(thread.thread_id)}: {plural(thread.checkpoints, 'checkpoint')}, {byte_count(thread.size)}, "
        f"created {moment(thread.created_at)}, last activity {moment(thread.updated_at)} (UTC)"
    )
    if not page.checkpoints:
        click.echo("no checkpoints here" if thread.checkpoints else "no checkpoints: only writes that arrived before theirs")
        return
    signs = _UNICODE if console().encoding.startswith("utf") else _ASCII
    print_table(_columns(page), _rows(page, signs, wide=console().width >= _WIDE))
    if any(checkpoint.parent is Parent.MISSING for checkpoint in page.checkpoints):
        click.echo(f"{signs.gap} marks a checkpoint whose parent was pruned or deleted")
    if page.more:
        click.echo(f"more: --before {page.checkpoints[-1].key.checkpoint_id}")


def _columns(page: ThreadPage) -> list[Column]:
    fixed = [Column(""), Column("checkpoint"), Column("step", right=True), Column("source"), Column("created"), Column("added", right=True)]
    return [*fixed, *[Column("namespace", cut=True)] * _has_subgraphs(page), Column("written", cut=True)]


def _has_subgraphs(page: ThreadPage) -> bool:
    return any(checkpoint.key.checkpoint_ns for checkpoint in page.checkpoints)


def _rows(page: ThreadPage, signs: _Signs, *, wide: bool) -> Iterator[list[str | Text]]:
    drawn = draw([(checkpoint.key, checkpoint.parent_key) for checkpoint in page.checkpoints])
    days = {checkpoint.created_at.date() for checkpoint in page.checkpoints}
    for checkpoint, row in zip(page.checkpoints, drawn, strict=True):
        key, step, time = checkpoint.key, step_of(checkpoint), moment(checkpoint.created_at)
        yield [
            _lanes(row, signs, checkpoint.parent),
            key.checkpoint_id if wide else key.checkpoint_id[:_SHORT_ID],
            "" if step.step is None else str(step.step),
            step.source or "",
            time if wide else time[11:] if len(days) == 1 else time[5:16],
            byte_count(checkpoint.size),
            *[short_namespace(key.checkpoint_ns)] * _has_subgraphs(page),
            _written(step),
        ]


def _written(step: Step) -> Text:
    found = [(step.interrupts, "interrupt", "bold yellow"), (step.errors, "error", "bold red")]
    parts = [Text(f"{number} {what}{'s' * (number != 1)}", style) for number, what, style in found if number]
    return Text(", ").join([*parts, *[Text(printable(channel)) for channel in step.written]])


def _lanes(row: Drawn[CheckpointKey], signs: _Signs, parent: Parent) -> str:
    drawn = [" "] * (1 + 2 * max((row.lane, *row.joined, *row.passing)))
    for lane in row.passing:
        drawn[2 * lane] = signs.passing
    for lane in row.joined:
        drawn[2 * lane] = signs.fork
    drawn[2 * row.lane] = signs.first if parent is Parent.NONE else signs.checkpoint
    return "".join(drawn) + f" {signs.gap}" * (parent is Parent.MISSING)
