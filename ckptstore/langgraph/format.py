"""LangGraph's checkpoint formats: the only module that knows what its channels, metadata keys and namespaces mean.

The layers below work on any checkpoints; they are given `LANGGRAPH`, a `StateFormat`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME, SCHEDULED

from ckptstore.records import StateFormat

#: LangGraph's channel of pending `Send`s (`langgraph._internal._constants.TASKS`).
TASKS_CHANNEL = "__pregel_tasks"

#: Channels to which tasks write what is no part of the state: an error, an interrupt, the answer to one, a note that the task has
#: begun, or that it has written nothing (`langgraph._internal._constants.NO_WRITES`).
ERROR_CHANNEL, INTERRUPT_CHANNEL = ERROR, INTERRUPT
_SPECIAL_CHANNELS = frozenset((ERROR, INTERRUPT, RESUME, SCHEDULED, "__no_writes__"))

#: The channel in which a checkpoint holds the input that a run begins with (`langgraph.constants.START`): a dict of channels and values.
INPUT = "__start__"

# A channel of this name starts the node that the rest of it names (`langgraph.graph.state.CompiledStateGraph.attach_node`).
_BRANCH = "branch:to:"

#: `checkpoint["v"]`: from this format on, a checkpoint holds its pending `Send`s itself, as a value of `TASKS_CHANNEL`. Before, they
#: are the writes to that channel at its parent (`BaseCheckpointSaver` implementations call this "migrate pending sends").
FIRST_FORMAT_WITH_OWN_SENDS = 4

#: Metadata key: channel -> counters, for each `DeltaChannel`. Such a channel stores a snapshot now and then; in between its value is
#: rebuilt from the writes of the checkpoint's ancestors.
_DELTA_COUNTERS = "counters_since_delta_snapshot"

#: Metadata key: namespace -> id of the checkpoint that was current there when a subgraph's checkpoint was stored. The root graph's
#: namespace is empty.
_PARENTS = "parents"
_ROOT_NS = ""

# A namespace is `node:task_id` for a subgraph that runs within one task, and `node` for one with `checkpointer=True`, whose state
# lives on from one run of the root graph to the next (`langgraph._internal._constants.NS_END`).
_TASK_ID_SEPARATOR = ":"


def _delta_channels(metadata: str) -> frozenset[str]:
    if _DELTA_COUNTERS not in metadata:
        # Nearly always: parsing JSON takes much longer.
        return frozenset()
    return frozenset(_entries(metadata, _DELTA_COUNTERS))


def _root_checkpoint_id(metadata: str) -> str | None:
    return root_checkpoint_of(_parsed(metadata))


def root_checkpoint_of(metadata: Mapping[str, Any]) -> str | None:
    """The id of the root graph's checkpoint under which a subgraph's ran; None for the root graph's own."""
    found = _object_under(metadata, _PARENTS).get(_ROOT_NS)
    return found if isinstance(found, str) else None


def _entries(metadata: str, key: str) -> dict[str, Any]:
    return _object_under(_parsed(metadata), key)


def _parsed(metadata: str) -> dict[str, Any]:
    parsed = json.loads(metadata)
    return parsed if isinstance(parsed, dict) else {}


def _object_under(metadata: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The object under a key; empty where a caller stored something else there."""
    found = metadata.get(key)
    return found if isinstance(found, dict) else {}


def is_internal(channel: str) -> bool:
    """Whether LangGraph itself writes a channel, and no node of a user's graph reads it."""
    return channel in _SPECIAL_CHANNELS or channel.startswith(_BRANCH)


def _is_task_namespace(checkpoint_ns: str) -> bool:
    return _TASK_ID_SEPARATOR in checkpoint_ns


LANGGRAPH = StateFormat(
    tasks_channel=TASKS_CHANNEL,
    first_format_with_own_tasks=FIRST_FORMAT_WITH_OWN_SENDS,
    unindexed_when_empty=_PARENTS,
    delta_channels=_delta_channels,
    root_checkpoint_id=_root_checkpoint_id,
    is_task_namespace=_is_task_namespace,
    # LangGraph writes these into every checkpoint, and a saver itself searches for `run_id`.
    own_keys=frozenset({"source", "step", "parents", "run_id", "thread_id"}),
    thread_key="thread_id",
    other_savers_tables={"sqlite": ("checkpoints", "writes"), "postgresql": ("checkpoints", "checkpoint_blobs", "checkpoint_writes")},
)
