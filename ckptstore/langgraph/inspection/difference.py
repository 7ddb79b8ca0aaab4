"""What differs between two structures: dicts by their keys, messages by their ids, other lists by what they have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

from ckptstore.langgraph.inspection.state import ChannelState, CheckpointState
from ckptstore.langgraph.structure.as_json import as_json
from ckptstore.langgraph.structure.messages import messages_of
from ckptstore.langgraph.structure.nodes import Structure, Typed

# Lists are compared element by element in time that grows with the product of what is left of both.
_MAX_COMPARISONS = 250_000
_MAX_DEPTH = 60

Kind = Literal["added", "removed", "changed", "moved"]
Path = tuple[str | int, ...]


class Change(NamedTuple):
    """One difference."""

    #: Keys, names of fields and indexes from the value's outside to what differs; an index is of the list that has the element.
    path: Path
    kind: Kind
    #: None where it was added, or moved.
    before: Structure
    #: None where it was removed.
    after: Structure


class ChannelChange(NamedTuple):
    """The differences of one channel."""

    name: str
    kind: Literal["added", "removed", "changed"]
    changes: Sequence[Change]


class Difference(NamedTuple):
    """What differs between two checkpoints."""

    channels: Sequence[ChannelChange]
    #: The names of the channels that have the same value in both.
    unchanged: Sequence[str]
    metadata: Sequence[Change]


def difference(before: CheckpointState, after: CheckpointState) -> Difference:
    """What differs between two states."""
    names = sorted(before.channels.keys() | after.channels.keys())
    compared = [_of_channel(name, before.channels.get(name), after.channels.get(name)) for name in names]
    channels = [each for each in compared if each is not None]
    unchanged = [name for name, each in zip(names, compared, strict=True) if each is None]
    return Difference(channels, unchanged, list(changes(before.metadata, after.metadata)))


def _of_channel(name: str, before: ChannelState | None, after: ChannelState | None) -> ChannelChange | None:
    if before is None and after is not None:
        return ChannelChange(name, "added", [Change((), "added", None, after.content)])
    if before is not None and after is None:
        return ChannelChange(name, "removed", [Change((), "removed", before.content, None)])
    if before is None or after is None or (before.version is not None and before.version == after.version):
        return None
    found = list(changes(before.content, after.content))
    return ChannelChange(name, "changed", found) if found else None


def changes(before: Structure, after: Structure, path: Path = ()) -> Iterator[Change]:
    """What differs between two structures."""
    if _key(before) == _key(after):
        return
    if len(path) < _MAX_DEPTH:
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _of_dicts(before, after, path)
            return
        if isinstance(before, Typed) and isinstance(after, Typed) and before.type == after.type and before.fields and after.fields:
            yield from _of_dicts(before.fields, after.fields, path)
            return
        if isinstance(before, list) and isinstance(after, list):
            yield from _of_lists(before, after, path)
            return
    yield Change(path, "changed", before, after)


def _key(structure: Structure) -> str:
    """A text that equal structures share: 1, 1.0 and True are different, an order of keys is not."""
    return json.dumps(as_json(structure), sort_keys=True)


def _of_dicts(before: dict[str, Structure], after: dict[str, Structure], path: Path) -> Iterator[Change]:
    for name in [*before, *[name for name in after if name not in before]]:
        at = (*path, name if isinstance(name, (str, int)) else str(name))
        if name not in after:
            yield Change(at, "removed", before[name], None)
        elif name not in before:
            yield Change(at, "added", None, after[name])
        else:
            yield from changes(before[name], after[name], at)


def _of_lists(before: list[Structure], after: list[Structure], path: Path) -> Iterator[Change]:
    ids = [_ids_of_messages(each) for each in (before, after)]
    if ids[0] is not None and ids[1] is not None:
        yield from _of_messages(before, after, ids[0], ids[1], path)
        return
    keys = [[_key(element) for element in each] for each in (before, after)]
    first, last = _common_ends(*keys)
    middle = [each[first : len(each) - last] for each in keys]
    if len(middle[0]) * len(middle[1]) > _MAX_COMPARISONS:
        codes = [("replace", 0, len(middle[0]), 0, len(middle[1]))]
    else:
        codes = SequenceMatcher(None, middle[0], middle[1], autojunk=False).get_opcodes()  # type: ignore[assignment]
    for code, a, b, c, d in codes:
        if code != "equal":
            yield from _of_runs(before, after, range(first + a, first + b), range(first + c, first + d), path)


def _common_ends(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """How many elements two lists share at their beginning, and at their end."""
    shorter = min(len(one), len(other))
    first = next((n for n in range(shorter) if one[n] != other[n]), shorter)
    last = next((n for n in range(shorter - first) if one[-1 - n] != other[-1 - n]), shorter - first)
    return first, last


def _of_runs(before: list[Structure], after: list[Structure], old: range, new: range, path: Path) -> Iterator[Change]:
    """Of elements that took the place of others: one by one where they are as many."""
    if len(old) == len(new):
        for a, b in zip(old, new, strict=True):
            yield from changes(before[a], after[b], (*path, b))
        return
    yield from (Change((*path, a), "removed", before[a], None) for a in old)
    yield from (Change((*path, b), "added", None, after[b]) for b in new)


def _ids_of_messages(elements: list[Structure]) -> list[str] | None:
    """The ids of messages that all have one of their own; none for an empty list; None for other lists."""
    messages = messages_of(elements)
    if messages is None:
        return None if elements else []
    ids = [message.id for message in messages]
    found = [id_ for id_ in ids if id_]
    return found if len(set(found)) == len(ids) else None


def _of_messages(
    before: list[Structure], after: list[Structure], old_ids: Sequence[str], new_ids: Sequence[str], path: Path
) -> Iterator[Change]:
    old, new = ({id_: n for n, id_ in enumerate(ids)} for ids in (old_ids, new_ids))
    yield from (Change((*path, n), "removed", before[n], None) for id_, n in old.items() if id_ not in new)
    kept = [id_ for id_ in old_ids if id_ in new]
    order = {id_: n for n, id_ in enumerate(kept)}
    common = [id_ for id_ in new_ids if id_ in old]
    for id_, n in new.items():
        at = (*path, n)
        if id_ not in old:
            yield Change(at, "added", None, after[n])
            continue
        if common[order[id_]] != id_:
            yield Change(at, "moved", None, after[n])
        yield from changes(before[old[id_]], after[n], at)
