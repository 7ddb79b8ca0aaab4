"""A checkpoint to look at: whole as far as it can be read. What one value lacks does not keep the others from being shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckptstore.errors import CkptStoreError, InvalidConfig
from ckptstore.records import CheckpointKey, LoadedCheckpoint, LoadedSegment, LoadedWrite, SerialisedValue
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store
from ckptstore.values.decode import SegmentSet, StoredValue

#: How much of one value is read from blob storage: a page or a terminal shows no more of it anyway.
MAX_BLOB_BYTES = 64 * 1024 * 1024


class ReadValue(NamedTuple):
    """A value of a channel or a write, or why there is none."""

    #: None where it can't be read.
    value: SerialisedValue | None
    #: The serialiser's type tag.
    type: str
    #: Serialised bytes; those in blob storage, where the value can't be read.
    size: int
    #: Bytes of `size` that are in blob storage.
    blob_bytes: int
    #: Why the value can't be read: a sentence without a full stop. Empty if it can.
    reason: str = ""


class ViewedWrite(NamedTuple):
    """A task's write."""

    task_id: str
    task_path: str
    idx: int
    channel: str
    value: ReadValue


class ViewedCheckpoint(NamedTuple):
    """A checkpoint and what could be read of it."""

    #: Its key, parent, format, body and versions. Read no value from it.
    loaded: LoadedCheckpoint
    #: By channel: those that have a row of their own. The others are in the body.
    values: Mapping[str, ReadValue]
    #: In the order in which LangGraph applies them.
    writes: Sequence[ViewedWrite]
    #: The parent's writes to the channel of tasks, for formats that keep tasks there.
    parent_sends: Sequence[ViewedWrite]


def view_checkpoint(store: Store, key: CheckpointKey, max_blob_bytes: int = MAX_BLOB_BYTES) -> Steps[ViewedCheckpoint]:
    """A checkpoint with its values and pending writes.

    Args:
        store: the store.
        key: of the checkpoint.
        max_blob_bytes: a value of which more is in blob storage is not read.

    Raises:
        InvalidConfig: it does not exist, or was pruned meanwhile.
        CheckpointCorrupt: a row of it was altered.
    """
    found = yield from store.named([key])
    if not found.result:
        raise InvalidConfig(f"thread {key.thread_id!r} has no checkpoint {key.checkpoint_id!r} in namespace {key.checkpoint_ns!r}")
    [loaded] = found.result
    values = {}
    for channel, value in loaded.values.items():
        values[channel] = yield from _read(store, value, found.segments.remote_segments([value]), max_blob_bytes)
    writes = yield from _read_writes(store, loaded.writes, found.segments, max_blob_bytes)
    parent_sends = yield from _read_writes(store, loaded.parent_sends, found.segments, max_blob_bytes)
    return ViewedCheckpoint(loaded, values, writes, parent_sends)


def _read_writes(store: Store, writes: Sequence[LoadedWrite], segments: SegmentSet, max_blob_bytes: int) -> Steps[list[ViewedWrite]]:
    viewed = []
    for write in writes:
        read = yield from _read(store, write.value, segments.remote_segments([write.value]), max_blob_bytes)
        viewed.append(ViewedWrite(write.task_id, write.task_path, write.idx, write.channel, read))
    return viewed


def _read(store: Store, value: SerialisedValue, remote: Sequence[LoadedSegment], max_blob_bytes: int) -> Steps[ReadValue]:
    blob_bytes = sum(segment.size for segment in remote)
    if blob_bytes > max_blob_bytes:
        reason = f"{blob_bytes} bytes of it are in blob storage, more than the {max_blob_bytes} that are read"
        return ReadValue(None, value.type, blob_bytes, blob_bytes, reason)
    try:
        if remote and isinstance(value, StoredValue):
            fetched: Mapping[str, bytes] = yield store.downloads.fetch(remote)
            value.segments.local.update(fetched)
        return ReadValue(value, value.type, len(value.data), blob_bytes)
    except CkptStoreError as exc:
        return ReadValue(None, value.type, blob_bytes, blob_bytes, str(exc))
    except (TypeError, ValueError) as exc:
        # A row without a checksum, with cells that are not of their types.
        return ReadValue(None, value.type, blob_bytes, blob_bytes, f"its row was altered ({type(exc).__name__})")
