"""The state of a checkpoint as structures: what `threads state` and `threads diff` show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ckptstore.errors import CkptStoreError
from ckptstore.inspection.viewing import ReadValue, ViewedCheckpoint, view_checkpoint
from ckptstore.langgraph.encode import OWN_VERSION, SCALARS
from ckptstore.langgraph.format import FIRST_FORMAT_WITH_OWN_SENDS, LANGGRAPH, TASKS_CHANNEL, is_internal
from ckptstore.langgraph.structure.nodes import NotShown, Structure, Typed
from ckptstore.langgraph.structure.reading import Decrypt, structure_of
from ckptstore.reads.rows import parsed_metadata
from ckptstore.records import ChannelHistory, CheckpointKey, SerialisedValue, Value
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store

#: Stands in a state for a channel that LangGraph rebuilds from its writes.
REBUILT = "ckptstore.Rebuilt"


class ChannelState(NamedTuple):
    """A channel of a checkpoint."""

    name: str
    #: None for a channel without a version.
    version: str | None
    content: Structure
    #: Serialised bytes; None where the value is in the checkpoint's body, or is rebuilt.
    size: int | None
    #: Bytes of `size` that are in blob storage.
    blob_bytes: int
    #: Whether LangGraph itself writes the channel, and no node of the graph reads it.
    is_internal: bool


class PendingWrite(NamedTuple):
    """What a task has written after a checkpoint."""

    task_id: str
    task_path: str
    channel: str
    content: Structure
    size: int


class CheckpointState(NamedTuple):
    """A checkpoint with its channels by name."""

    key: CheckpointKey
    parent_checkpoint_id: str | None
    #: LangGraph's version of the checkpoint format.
    format: int
    metadata: dict[str, Any]
    #: The time in it, as LangGraph wrote it; None where the body can't be read.
    ts: str | None
    channels: Mapping[str, ChannelState]
    writes: Sequence[PendingWrite]


def checkpoint_state(store: Store, key: CheckpointKey, decrypt: Decrypt | None) -> Steps[CheckpointState]:
    """The state of a checkpoint.

    Args:
        store: the store.
        key: of the checkpoint.
        decrypt: opens encrypted values; without it they are not shown.

    Raises:
        InvalidConfig: there is no such checkpoint.
        CheckpointCorrupt: a row of it was altered.
    """
    viewed = yield from view_checkpoint(store, key)
    loaded = viewed.loaded
    body = structure_of(loaded.body, decrypt)
    parts: dict[str, Any] = body if isinstance(body, dict) else {}
    channels = _channels(viewed, body, decrypt)
    if loaded.format < FIRST_FORMAT_WITH_OWN_SENDS and viewed.parent_sends:
        sends = [_content(write.value, decrypt) for write in viewed.parent_sends]
        channels[TASKS_CHANNEL] = _channel(TASKS_CHANNEL, None, sends)
    rebuilt = sorted(LANGGRAPH.delta_channels(loaded.metadata) & (loaded.channel_versions.keys() - channels.keys()))
    if rebuilt:
        channels |= yield from _rebuilt(store, key, rebuilt, loaded.channel_versions, decrypt)
    ts = parts.get("ts")
    writes = [
        PendingWrite(write.task_id, write.task_path, write.channel, _content(write.value, decrypt), write.value.size)
        for write in viewed.writes
    ]
    return CheckpointState(
        key=loaded.key,
        parent_checkpoint_id=loaded.parent_checkpoint_id,
        format=loaded.format,
        metadata=parsed_metadata(loaded.key, loaded.metadata),
        ts=ts if isinstance(ts, str) else None,
        channels=dict(sorted(channels.items())),
        writes=writes,
    )


def _channels(viewed: ViewedCheckpoint, body: Structure, decrypt: Decrypt | None) -> dict[str, ChannelState]:
    """The channels that have values: in rows of their own, or in the body."""
    versions = viewed.loaded.channel_versions
    channels = {
        name: _channel(name, versions.get(name), _content(value, decrypt), value.size, value.blob_bytes)
        for name, value in viewed.values.items()
    }
    if isinstance(body, NotShown):
        in_body = [name for name, version in versions.items() if version is None]
        return channels | {name: _channel(name, None, body) for name in in_body}
    return channels | _in_body(body, decrypt)


def _in_body(body: Structure, decrypt: Decrypt | None) -> dict[str, ChannelState]:
    """Small values, and those that schema revision 0001 stored in the body."""
    found: dict[str, ChannelState] = {}
    for name, part in _dict_under(body, SCALARS).items():
        if isinstance(part, list) and len(part) == 2:  # [version, value]
            found[name] = _channel(name, str(part[0]), part[1])
    for name, part in _dict_under(body, "channel_values").items():
        if isinstance(part, list) and len(part) >= 2 and isinstance(part[0], str) and isinstance(part[1], bytes):  # [type tag, bytes, ...]
            found[name] = _channel(name, None, structure_of(Value(part[0], part[1]), decrypt), len(part[1]))
    return found


def _dict_under(body: Structure, key: str) -> dict[str, Structure]:
    found = body.get(key) if isinstance(body, dict) else None
    return {name: part for name, part in found.items() if isinstance(name, str)} if isinstance(found, dict) else {}


def _channel(name: str, version: str | None, content: Structure, size: int | None = None, blob_bytes: int = 0) -> ChannelState:
    # A version that begins so was made for a channel that LangGraph gave none.
    given = None if version is None or str(version).startswith(OWN_VERSION) else str(version)
    return ChannelState(name, given, content, size, blob_bytes, is_internal(name))


def _content(read: ReadValue, decrypt: Decrypt | None) -> Structure:
    return NotShown(read.reason) if read.value is None else structure_of(read.value, decrypt)


def _rebuilt(
    store: Store, key: CheckpointKey, names: Sequence[str], versions: Mapping[str, str | None], decrypt: Decrypt | None
) -> Steps[dict[str, ChannelState]]:
    """Channels of which a checkpoint has no value: LangGraph rebuilds them from a stored value and the writes since."""
    try:
        histories = yield from store.history(*key, names)
    except CkptStoreError as exc:
        reason = NotShown(str(exc))
        return {name: _channel(name, versions.get(name), reason) for name in names}
    return {name: _channel(name, versions.get(name), _history(name, history, decrypt)) for name, history in histories.items()}


def _history(name: str, history: ChannelHistory, decrypt: Decrypt | None) -> Structure:
    if history.body is not None:
        found = _in_body(structure_of(history.body, decrypt), decrypt).get(name)
        seed = found.content if found is not None else NotShown("its last stored value can't be read")
    else:
        seed = None if history.seed is None else structure_of(_of(history.seed), decrypt)
    writes = [structure_of(_of(write.value), decrypt) for write in history.writes]
    return Typed(REBUILT, {"from": seed, "and_writes": writes}, "fields")


def _of(value: SerialisedValue) -> SerialisedValue:
    return Value(value.type, value.data)
