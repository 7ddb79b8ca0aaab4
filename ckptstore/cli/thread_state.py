"""`ckptstore threads state`: the values of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import click

from ckptstore.cli.options import store_options
from ckptstore.cli.reading import decrypt_with, ns_option, parse_id, reading_store, serde_option, shows_data
from ckptstore.cli.tables import console, json_option, moment, print_json, print_lines
from ckptstore.errors import CkptStoreError
from ckptstore.inspection.outline import find_checkpoint, outlined_checkpoint
from ckptstore.inspection.sharing import Shared, shared_with_parent
from ckptstore.inspection.unreadable import UNREADABLE
from ckptstore.langgraph.inspection.state import ChannelState, CheckpointState, checkpoint_state
from ckptstore.langgraph.inspection.state_json import state_as_json
from ckptstore.langgraph.structure.as_text import byte_count, named, printable
from ckptstore.langgraph.structure.blocks import Limits, block
from ckptstore.records import CheckpointKey
from ckptstore.runtime.steps import drive
from ckptstore.store.store import Store

_BRIEF = Limits(elements=20, text=2_000, depth=6)
_FULL = Limits(elements=10**9, text=10**9, depth=60)


@click.command()
@store_options
@click.argument("thread_id", callback=parse_id)
@click.option("--at", "checkpoint_id", callback=parse_id, help="The checkpoint, or the beginning of its id; by default the newest one.")
@ns_option
@click.option("--channel", "names", multiple=True, help="Only this channel. Repeatable.")
@click.option("--full", is_flag=True, help="Don't shorten long lists and texts.")
@serde_option
@json_option
@shows_data
def state(
    url: str,
    in_schema: str | None,
    blob_url: str | None,
    thread_id: str,
    checkpoint_id: str | None,
    checkpoint_ns: str | None,
    names: tuple[str, ...],
    full: bool,
    serde: str | None,
    as_json: bool,
) -> None:
    """Show the state of a thread at a checkpoint, channel by channel, with what tasks have written since.

    Beside each channel stand its size and what of it is stored once for this checkpoint and its parent.

    No class is imported: LangChain's messages are shown as messages, other objects by their fields. What can't be shown says why.
    """
    with reading_store(url, in_schema, blob_url) as store:
        decrypt = decrypt_with(serde)
        key = drive(find_checkpoint(store, thread_id, checkpoint_ns, checkpoint_id))
        found = only_channels(drive(checkpoint_state(store, key, decrypt)), names)
        shared = _shared(store, found)
        created_at = _created_at(store, found.key)
    if as_json:
        print_json({**_as_json(found, shared), "created_at": created_at})
    else:
        print_lines(_lines(found, shared, created_at, console().width, _FULL if full else _BRIEF))


def _shared(store: Store, found: CheckpointState) -> dict[str, Shared]:
    try:
        return drive(shared_with_parent(store, found.key, found.parent_checkpoint_id))
    except CkptStoreError:
        # The row was altered; the values themselves say so.
        return {}


def _created_at(store: Store, key: CheckpointKey) -> datetime | None:
    """When a checkpoint was stored; None where its row was altered."""
    try:
        return drive(outlined_checkpoint(store, key)).created_at
    except UNREADABLE:
        return None


def _as_json(found: CheckpointState, shared: Mapping[str, Shared]) -> dict[str, Any]:
    shown = state_as_json(found)
    for name, channel in shown["channels"].items():
        channel["shared"] = shared[name]._asdict() if name in shared else None
    return shown


def only_channels(found: CheckpointState, names: tuple[str, ...]) -> CheckpointState:
    """A state with these channels only; all of them if no name is given."""
    if not names:
        return found
    unknown = [name for name in names if name not in found.channels]
    if unknown:
        has = ", ".join(map(printable, found.channels))
        raise click.ClickException(f"checkpoint {found.key.checkpoint_id!r} has no channel {unknown[0]!r}; it has {has}")
    return found._replace(channels={name: found.channels[name] for name in names}, writes=[w for w in found.writes if w.channel in names])


def _lines(found: CheckpointState, shared: Mapping[str, Shared], created_at: datetime | None, width: int, limits: Limits) -> Iterator[str]:
    key = found.key
    yield f"thread {printable(key.thread_id)}, checkpoint {printable(key.checkpoint_id)}"
    if key.checkpoint_ns:
        yield f"namespace {printable(key.checkpoint_ns)}"
    yield f"parent {printable(found.parent_checkpoint_id or 'none')}, {_time(found.ts, created_at)}"
    yield from _section("metadata", "", found.metadata, width, limits)
    internal = [name for name, of in found.channels.items() if of.is_internal]
    for name, of in found.channels.items():
        if not of.is_internal:
            yield from _section(name, _size(of, shared.get(name)), of.content, width, limits)
    if internal:
        yield ""
        yield click.style("LangGraph's own channels", bold=True) + f"  {printable(', '.join(internal))}"
    if found.writes:
        yield ""
        yield click.style("written after it", bold=True)
        for write in found.writes:
            about = f"{printable(write.channel)}  {byte_count(write.size)}, task {printable(write.task_id[:8])}"
            yield f"  {about}"
            yield from (f"    {line}" for line in block(write.content, width - 4, limits))


def _time(ts: str | None, created_at: datetime | None) -> str:
    """The time in a checkpoint; that of its row where the checkpoint is encrypted, or can't be read."""
    if ts is not None:
        return f"written {printable(ts)}"
    return "the time can't be read" if created_at is None else f"stored {moment(created_at)} (UTC)"


def _section(title: str, about: str, content: Any, width: int, limits: Limits) -> Iterator[str]:
    yield ""
    yield click.style(named(title), bold=True) + (f"  {about}" if about else "")
    yield from (f"  {line}" for line in block(content, width - 2, limits))


def _size(of: ChannelState, shared: Shared | None) -> str:
    if of.size is None:
        return ""
    text = byte_count(of.size) + (f", {byte_count(of.blob_bytes)} of it in blob storage" if of.blob_bytes else "")
    if shared is None or not (shared.is_unchanged or shared.bytes):
        return text
    return f"{text}, unchanged: stored once" if shared.is_unchanged else f"{text}, {byte_count(shared.bytes)} shared with its parent"
