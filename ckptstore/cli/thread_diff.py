"""`ckptstore threads diff`: what differs between two checkpoints of a thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from ckptstore.cli.options import store_options
from ckptstore.cli.reading import decrypt_with, ns_option, parse_id, reading_store, serde_option, shows_data
from ckptstore.cli.tables import console, json_option, print_json, print_lines
from ckptstore.inspection.outline import find_checkpoint
from ckptstore.langgraph.format import is_internal
from ckptstore.langgraph.inspection.difference import Change, Difference, difference
from ckptstore.langgraph.inspection.paths import shown_path
from ckptstore.langgraph.inspection.state import checkpoint_state
from ckptstore.langgraph.inspection.text_lines import changed_lines
from ckptstore.langgraph.structure.as_json import as_json as json_of
from ckptstore.langgraph.structure.as_text import inline, printable
from ckptstore.langgraph.structure.blocks import Limits, block
from ckptstore.langgraph.structure.columns import ELLIPSIS, columns_of, cut
from ckptstore.langgraph.structure.nodes import Structure
from ckptstore.records import CheckpointKey
from ckptstore.runtime.steps import drive

_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow"), "moved": (">", "yellow")}
# What is shown of one channel, and how much of one text.
_LIMITS = Limits(elements=20, text=1_000, depth=4)
_MAX_CHANGES = 40
_MAX_LINES = 20


@click.command()
@store_options
@click.argument("thread_id", callback=parse_id)
@click.argument("before", callback=parse_id)
@click.argument("after", callback=parse_id)
@ns_option
@click.option("--full", is_flag=True, help="Don't shorten long lists of changes.")
@serde_option
@json_option
@shows_data
def diff(
    url: str,
    in_schema: str | None,
    blob_url: str | None,
    thread_id: str,
    before: str,
    after: str,
    checkpoint_ns: str | None,
    full: bool,
    serde: str | None,
    as_json: bool,
) -> None:
    """Show what differs between two checkpoints, channel by channel: messages by their ids, other lists by what they have in common.

    BEFORE and AFTER are ids of checkpoints, or their beginnings. Exits with 0 whether there are differences or not.
    """
    with reading_store(url, in_schema, blob_url) as store:
        decrypt = decrypt_with(serde)
        keys = [drive(find_checkpoint(store, thread_id, checkpoint_ns, wanted)) for wanted in (before, after)]
        states = [drive(checkpoint_state(store, key, decrypt)) for key in keys]
    found = difference(*states)
    if as_json:
        print_json(_as_json(keys, found))
    else:
        print_lines(_lines(keys, found, console().width, full=full))


def _as_json(keys: Sequence[CheckpointKey], found: Difference) -> dict[str, Any]:
    return {
        "before": keys[0]._asdict(),
        "after": keys[1]._asdict(),
        "channels": {of.name: {"kind": of.kind, "changes": [_change_as_json(each) for each in of.changes]} for of in found.channels},
        "unchanged": found.unchanged,
        "metadata": [_change_as_json(each) for each in found.metadata],
    }


def _change_as_json(change: Change) -> dict[str, Any]:
    sides = {"before": change.before, "after": change.after}
    given = {"added": ["after"], "moved": ["after"], "removed": ["before"], "changed": ["before", "after"]}[change.kind]
    return {"path": list(change.path), "kind": change.kind, **{side: json_of(sides[side]) for side in given}}


def _lines(keys: Sequence[CheckpointKey], found: Difference, width: int, *, full: bool) -> Iterator[str]:
    yield f"thread {printable(keys[0].thread_id)}, from {printable(keys[0].checkpoint_id)} to {printable(keys[1].checkpoint_id)}"
    for of in found.channels:
        if not is_internal(of.name):
            yield from _section(of.name, "" if of.kind == "changed" else of.kind, of.changes, width, full=full)
    internal = [of.name for of in found.channels if is_internal(of.name)]
    if found.metadata:
        yield from _section("metadata", "", found.metadata, width, full=full)
    if not found.channels and not found.metadata:
        yield "no differences"
    yield ""
    if internal:
        yield f"LangGraph's own channels that differ: {printable(', '.join(internal))}"
    if found.unchanged:
        yield f"unchanged: {printable(', '.join(found.unchanged))}"


def _section(title: str, about: str, changes: Sequence[Change], width: int, *, full: bool) -> Iterator[str]:
    counts = ", ".join(f"{n} {kind}" for kind in _SIGNS if (n := sum(each.kind == kind for each in changes)))
    yield ""
    yield f"{click.style(printable(title), bold=True)}  {about or counts}"
    shown = changes if full else changes[:_MAX_CHANGES]
    for change in shown:
        yield from _change(change, width)
    if len(shown) < len(changes):
        yield f"  {ELLIPSIS} {len(changes) - len(shown)} more; see them with --full"


def _change(change: Change, width: int) -> Iterator[str]:
    sign, colour = _SIGNS[change.kind]
    path = shown_path(change.path)
    lead = f"  {click.style(sign, fg=colour)} {path}{'  ' if path else ''}"
    room = max(width - 4 - len(path) - 2, 24)
    if change.kind != "changed":
        first, *more = block(change.before if change.kind == "removed" else change.after, room, _LIMITS)
        yield lead + first
        yield from (f"    {line}" for line in more)
        return
    lines = changed_lines(change.before, change.after, _MAX_LINES)
    if lines:
        yield lead.rstrip()
        yield from (f"      {cut(printable(line), width - 6)}" for line in lines)
        return
    short = f"{inline(change.before, room)} -> {inline(change.after, room)}"
    if columns_of(short) <= room:
        yield lead + short
        return
    before, after = _from_where_they_differ(change.before, change.after, room)
    yield lead + inline(before, room)
    yield f"    {' ' * len(path)}{'  ' if path else ''}{inline(after, room)}"


def _from_where_they_differ(before: Structure, after: Structure, room: int) -> tuple[Structure, Structure]:
    """Two long texts from shortly before they differ; other values as they are."""
    if not isinstance(before, str) or not isinstance(after, str):
        return before, after
    pairs = enumerate(zip(before, after, strict=False))
    shared = next((number for number, (one, other) in pairs if one != other), min(len(before), len(after)))
    start = shared - room // 4
    return (before, after) if shared < room // 2 else (ELLIPSIS + before[start:], ELLIPSIS + after[start:])
