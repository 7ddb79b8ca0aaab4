"""What a checkpoint's outline says in LangGraph's terms: source and step, interrupts and errors, pending writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckptstore.inspection.outline import OutlinedCheckpoint
from ckptstore.langgraph.format import ERROR_CHANNEL, INTERRUPT_CHANNEL, is_internal, root_checkpoint_of

_SHORT_TASK_ID = 8


class Step(NamedTuple):
    """A superstep."""

    #: `input`, `loop`, `update` or `fork`; None where the metadata has none.
    source: str | None
    step: int | None
    #: The checkpoint of the root graph under which a subgraph's ran.
    ran_under: str | None
    #: How many tasks were interrupted after it, and how many failed.
    interrupts: int
    errors: int
    #: The channels of the state to which tasks have written after it.
    written: Sequence[str]


def step_of(checkpoint: OutlinedCheckpoint) -> Step:
    """The superstep that a checkpoint ended."""
    metadata = checkpoint.metadata
    source, step = metadata.get("source"), metadata.get("step")
    tasks = {writes.channel: writes.tasks for writes in checkpoint.writes}
    return Step(
        source=source if isinstance(source, str) else None,
        step=step if type(step) is int else None,
        ran_under=root_checkpoint_of(metadata) if checkpoint.key.checkpoint_ns else None,
        interrupts=tasks.get(INTERRUPT_CHANNEL, 0),
        errors=tasks.get(ERROR_CHANNEL, 0),
        written=[channel for channel in tasks if not is_internal(channel)],
    )


def short_namespace(checkpoint_ns: str) -> str:
    """A namespace with the beginnings of the tasks' ids."""
    parts = [part.partition(":") for part in checkpoint_ns.split("|")]
    return "|".join(f"{node}{colon}{task_id[:_SHORT_TASK_ID]}" for node, colon, task_id in parts)
