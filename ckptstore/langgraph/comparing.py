"""Comparing checkpoints of two savers as each of them loads them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.serde.base import SerializerProtocol

from ckptstore.errors import CheckpointCorrupt
from ckptstore.langgraph.decode import decode_checkpoint
from ckptstore.records import CheckpointKey
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store

logger = logging.getLogger(__name__)

#: Loads one checkpoint; None if it does not exist any more.
Load = Callable[[CheckpointKey], Steps[CheckpointTuple | None]]


def loading(store: Store, serde: SerializerProtocol) -> Load:
    """Load from a store, with a serialiser."""
    return partial(_load, store, serde)


def _load(store: Store, serde: SerializerProtocol, key: CheckpointKey) -> Steps[CheckpointTuple | None]:
    loaded = yield from store.checkpoint(*key)
    return None if loaded is None else decode_checkpoint(serde, loaded, _no_version)


def _no_version(_current: None, _channel: None) -> str:
    return "0"


def compare_checkpoints(source: Load, target: Load, serde: SerializerProtocol, keys: Sequence[CheckpointKey]) -> Steps[int]:
    """Load checkpoints from both sides and compare them; returns how many.

    One that was deleted meanwhile, or that the source has more writes to by now, is not counted.

    Args:
        source: loads from the source.
        target: loads from the target.
        serde: compares what Python can't compare.
        keys: the checkpoints.

    Raises:
        CheckpointCorrupt: one differs.
    """
    compared = 0
    for key in keys:
        before = yield from source(key)
        after = yield from target(key)
        if before is None or after is None:
            continue
        if not _are_equal(before, after, serde):
            raise CheckpointCorrupt(f"checkpoint {key.checkpoint_id!r} of thread {key.thread_id!r} is loaded differently from the target")
        compared += len(before.pending_writes or ()) == len(after.pending_writes or ())
    return compared


def _are_equal(before: CheckpointTuple, after: CheckpointTuple, serde: SerializerProtocol) -> bool:
    if after.parent_config is not None and _id_in(after.parent_config) != _id_in(before.parent_config):
        # None also where the parent was not transferred.
        return False
    same = partial(_same, serde)
    return same(before.checkpoint, after.checkpoint) and same(before.metadata, after.metadata) and _has_writes(before, after, same)


def _id_in(config: Mapping[str, Any] | None) -> Any:
    return (config or {}).get("configurable", {}).get("checkpoint_id")


def _has_writes(before: CheckpointTuple, after: CheckpointTuple, same: Callable[[Any, Any], bool]) -> bool:
    """Whether the source has the writes of the target, and no others unless it was written to since."""
    remaining = list(before.pending_writes or ())
    for write in after.pending_writes or ():
        found = next((number for number, each in enumerate(remaining) if same(each, write)), None)
        if found is None:
            return False
        del remaining[: found + 1]
    return True


def _same(serde: SerializerProtocol, one: Any, other: Any) -> bool:
    try:
        if one == other:
            return True
    except Exception as exc:
        # For example arrays, which compare element by element.
        logger.debug("compared as bytes: %s", exc, extra={"event": "compared_as_bytes"})
    return serde.dumps_typed(one) == serde.dumps_typed(other)
