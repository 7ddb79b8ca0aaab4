"""`one_writer`: a graph run takes the lease of its thread when it begins to read, and releases it when it has ended.

Not every call that LangGraph makes has an id of the run. It has the run's `Runtime`, whose `control` is one object from the run's first
read to its last write, in its subgraphs too. Reads and updates outside of runs have none.
"""

from __future__ import annotations

import logging
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from uuid import UUID

from langchain_core.runnables import RunnableConfig

from ckptstore.errors import CkptStoreError, InvalidConfig, ThreadBusy, brief, require_number
from ckptstore.langgraph.config import configurable_of
from ckptstore.langgraph.run_ends import at_end, current_run, watch_runs
from ckptstore.runtime.steps import Steps
from ckptstore.store.leases import Leases
from ckptstore.writes.thread_lease import LeaseState, ThreadLease

if TYPE_CHECKING:
    from ckptstore.langgraph.options import SaverOptions

logger = logging.getLogger(__name__)

#: How long a lease outlives a process that died.
LEASE_SECONDS = 30.0
#: How long `hold` waits, unless it is told.
WAIT_SECONDS = 30.0
_RUN_WAIT_SECONDS = 60.0
_MODES = ("refuse", "wait", None)

# LangGraph's, in the configurable of every call of a run; and of one of a task in it, such as a subgraph's.
_RUNTIME = "__pregel_runtime"
_TASK_ID = "__pregel_task_id"


def begins_run(config: RunnableConfig) -> bool:
    """Whether a read is the first one of a run of a root graph."""
    configurable = configurable_of(config)
    return _RUNTIME in configurable and _TASK_ID not in configurable


class _Run(NamedTuple):
    """A run that is under way."""

    lease: ThreadLease
    #: As long as it is here, no other object has its id.
    control: Any


class OneWriter:
    """The runs of one store's threads.

    Args:
        leases: of the store.
        mode: what a run does while another one holds its thread.
        wait_seconds: how long it waits.
    """

    def __init__(self, leases: Leases, mode: Literal["refuse", "wait"], wait_seconds: float) -> None:
        self._leases = leases
        self._wait_seconds = wait_seconds if mode == "wait" else 0.0
        #: By thread and control.
        self._runs: dict[tuple[str, int], _Run] = {}
        #: The runs within a `hold`, by its fence.
        self._held_runs: dict[str, tuple[str, int]] = {}
        leases.in_use = True
        watch_runs()

    def begin(self, config: RunnableConfig, thread_id: str, own: ThreadLease | None) -> Steps[None]:
        """Take the lease of a thread for a run that begins.

        Args:
            config: of its first read.
            thread_id: the thread.
            own: the lease that the caller holds by `hold`: the run writes under it.

        Raises:
            ThreadBusy: another run holds the thread.
            LeaseLost: the caller's lease was lost.
        """
        control = _control_of(config)
        key = (thread_id, id(control))
        run_id = current_run()
        if own is not None and own.state is not LeaseState.RELEASED:
            own.check()
            if own.fence in self._held_runs:
                raise ThreadBusy(f"another run of this task holds thread {thread_id!r}, under the same `hold`", thread_id=thread_id)
            self._held_runs[own.fence] = key
            lease = own
        else:
            label = "a run" if run_id is None else f"run {run_id}"
            lease = yield from self._leases.acquire(thread_id, wait_seconds=self._wait_seconds, ttl=LEASE_SECONDS, label=label)
        self._runs[key] = _Run(lease, control)
        self._note_end(key, run_id, is_ours=lease is not own)

    def _note_end(self, key: tuple[str, int], run_id: UUID | None, *, is_ours: bool) -> None:
        if run_id is not None:
            at_end(run_id, partial(self._end, key, self._runs[key].lease, is_ours=is_ours))
        else:
            # Nothing tells when it ends: it has the lease until it has stored nothing for as long as a lease lasts.
            self._runs[key].lease.idle_since = monotonic()

    def _end(self, key: tuple[str, int], lease: ThreadLease, *, is_ours: bool) -> Steps[None]:
        self._runs.pop(key, None)
        self._held_runs.pop(lease.fence, None)
        if not is_ours or lease.state is not LeaseState.HELD:
            return
        try:
            yield from self._leases.release(lease)
        except CkptStoreError as exc:
            fields = {"event": "thread_lease_not_released", "thread_id": lease.thread_id, "label": lease.label}
            logger.warning("the lease of thread %r was not released at the end of %s: %s", lease.thread_id, lease.label, exc, extra=fields)

    def lease_of(self, config: RunnableConfig, thread_id: str) -> ThreadLease | None:
        """The lease of the run that a write belongs to; None for a write that belongs to none."""
        if _RUNTIME not in configurable_of(config):
            return None
        control = _control_of(config)
        run = self._runs.get((thread_id, id(control)))
        if run is not None:
            return run.lease
        return self._leases.of(thread_id) if control is None else None


def _control_of(config: RunnableConfig) -> Any:
    return getattr(configurable_of(config).get(_RUNTIME), "control", None)


def one_writer_of(options: SaverOptions, leases: Leases) -> OneWriter | None:
    """What a saver's options ask for.

    Raises:
        InvalidConfig: an option has another value than those that are documented.
    """
    mode = options.get("one_writer")
    if mode not in _MODES:
        raise InvalidConfig(f"one_writer must be 'refuse', 'wait' or None, got {brief(mode)}")
    wait_seconds = options.get("one_writer_wait", _RUN_WAIT_SECONDS)
    require_number("one_writer_wait", wait_seconds, 0, finite=True)
    return None if mode is None else OneWriter(leases, mode, float(wait_seconds))
