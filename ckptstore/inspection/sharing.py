"""What of a checkpoint's values is stored already, because the checkpoint before it has it."""

from __future__ import annotations

from typing import NamedTuple

from ckptstore.records import CheckpointKey, LoadedCheckpoint, SerialisedValue
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store
from ckptstore.values.decode import SegmentSet, StoredValue


class Shared(NamedTuple):
    """What a value shares with the one that the channel had before."""

    #: Whether it is the same version: nothing was stored for it.
    is_unchanged: bool
    #: Serialised bytes, in segments that both have.
    bytes: int


def shared_with_parent(store: Store, key: CheckpointKey, parent_checkpoint_id: str | None) -> Steps[dict[str, Shared]]:
    """For each channel that has a row of its own: what its value shares with that of the parent.

    Args:
        store: the store.
        key: of the checkpoint.
        parent_checkpoint_id: None for a checkpoint without one, whose values are all new.
    """
    if parent_checkpoint_id is None:
        return {}
    parent_key = key._replace(checkpoint_id=parent_checkpoint_id)
    found = yield from store.named([key, parent_key])
    by_key = {loaded.key: loaded for loaded in found.result}
    if by_key.keys() != {key, parent_key}:
        return {}
    return _compared(by_key[key], by_key[parent_key], found.segments)


def _compared(loaded: LoadedCheckpoint, parent: LoadedCheckpoint, segments: SegmentSet) -> dict[str, Shared]:
    shared = {}
    for channel, value in loaded.values.items():
        if channel not in parent.values:
            shared[channel] = Shared(False, 0)
        elif loaded.channel_versions[channel] == parent.channel_versions[channel]:
            shared[channel] = Shared(True, 0)
        else:
            shared[channel] = Shared(False, _common_bytes(value, parent.values[channel], segments))
    return shared


def _common_bytes(value: SerialisedValue, other: SerialisedValue, segments: SegmentSet) -> int:
    if not isinstance(value, StoredValue) or not isinstance(other, StoredValue):
        return 0
    known = set(other.digests)
    return sum(segments.size_of(digest) for digest in value.digests if digest in known)
