"""One writer a thread: `hold` and `ahold`, and which lease a put is written under.

A lease belongs to the context (`contextvars`) that took it: the tasks, worker threads and graph runs that are started from there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar

from langchain_core.runnables import RunnableConfig

from ckptstore.errors import InvalidConfig, LeaseLost, brief, require_number
from ckptstore.langgraph.base import SaverBase
from ckptstore.langgraph.config import check_ids, ids_of, require_text, thread_id_of
from ckptstore.langgraph.one_writer import LEASE_SECONDS, WAIT_SECONDS, OneWriter, begins_run
from ckptstore.runtime.steps import Steps, drive, drive_async
from ckptstore.store.leases import Leases
from ckptstore.writes.attempt import WriteAttempt
from ckptstore.writes.thread_lease import LeaseState, ThreadLease

# A shorter lease could expire while its renewal is only late.
_LEAST_TTL = 1.0
_MAX_LABEL = 200

#: The leases of this context.
_held: ContextVar[Mapping[tuple[Leases, str], ThreadLease]] = ContextVar("ckptstore_held")


class Holding(SaverBase):
    """The part of the saver that lets one task at a time write to a thread."""

    @contextmanager
    def hold(
        self, thread_id: str, *, wait: float = WAIT_SECONDS, ttl: float = LEASE_SECONDS, label: str = "", take_over: bool = False
    ) -> Iterator[ThreadLease]:
        """Be the only one who writes to a thread: `with saver.hold(thread_id): ...`, across processes and machines.

        While one holds a thread, `hold` of another task, process or machine waits; they get it in the order of asking. A worker thread
        renews the lease as long as this process lives. If it can't for `ttl` seconds, the next one may take the thread. Puts in the body,
        and in graph runs that it starts, are then refused with `LeaseLost` by the transaction that would store them. Times are those of
        the database. Reads never wait.

        Within a `hold` of the same thread, `hold` gives the same lease again. A writer that uses neither
        `hold` nor `one_writer` is not kept out.

        Args:
            thread_id: the thread; it need not exist.
            wait: seconds to wait while another one holds it; 0 not to wait.
            ttl: seconds for which the lease outlives its last renewal, at least 1.
            label: what `ThreadBusy` says about the holder, for example a worker's name; plain text, no secret.
            take_over: take the thread from whoever holds it, and before those that wait: the other one gets `LeaseLost` at its next put.

        Returns:
            The lease: `lease.check()` raises `LeaseLost` if a loss is known, for what can't be fenced, such as a mail to be sent.

        Raises:
            ThreadBusy: another one held the thread all the time; the error says who and until when.
            LeaseLost: at the end of the body, if another one has taken the thread.
            InvalidConfig: an argument is wrong.
            DatabaseUnavailable: the database can't be reached.
        """
        lease, is_ours = drive(self._enter(thread_id, wait, ttl, label, take_over=take_over))
        if not is_ours:
            yield lease
            return
        with self._in_context(lease):
            try:
                yield lease
            except BaseException:
                with suppress(LeaseLost):
                    drive(self.store.leases.release(lease))
                raise
            drive(self.store.leases.release(lease))

    @asynccontextmanager
    async def ahold(
        self, thread_id: str, *, wait: float = WAIT_SECONDS, ttl: float = LEASE_SECONDS, label: str = "", take_over: bool = False
    ) -> AsyncIterator[ThreadLease]:
        """See `hold`: `async with saver.ahold(thread_id): ...`."""
        lease, is_ours = await drive_async(self._enter(thread_id, wait, ttl, label, take_over=take_over))
        if not is_ours:
            yield lease
            return
        with self._in_context(lease):
            try:
                yield lease
            except BaseException:
                with suppress(LeaseLost):
                    await drive_async(self.store.leases.release(lease))
                raise
            await drive_async(self.store.leases.release(lease))

    def _enter(self, thread_id: str, wait: float, ttl: float, label: str, *, take_over: bool) -> Steps[tuple[ThreadLease, bool]]:
        """The lease of a thread, and whether it was taken here and now."""
        thread_id = thread_id_of(thread_id)
        check_ids({"thread_id": thread_id})
        label = require_text(label, "label")
        if len(label) > _MAX_LABEL:
            raise InvalidConfig(f"label must be a text of at most {_MAX_LABEL} characters, got {brief(label)}")
        require_number("wait", wait, 0, finite=True)
        require_number("ttl", ttl, _LEAST_TTL, finite=True)
        own = self.own_lease(thread_id)
        if own is not None and own.state is not LeaseState.RELEASED:
            own.check()
            return own, False
        leases = self.store.leases
        return (yield from leases.acquire(thread_id, wait_seconds=float(wait), ttl=float(ttl), label=label, take_over=take_over)), True

    @contextmanager
    def _in_context(self, lease: ThreadLease) -> Iterator[None]:
        """Make a lease this context's; also where the end is in another context than the beginning, as of a test's fixture."""
        key = (self.store.leases, lease.thread_id)
        _held.set({**_held.get({}), key: lease})
        try:
            yield
        finally:
            _held.set({other: kept for other, kept in _held.get({}).items() if other != key})

    def own_lease(self, thread_id: str) -> ThreadLease | None:
        """The lease of a thread that this context holds."""
        return _held.get({}).get((self.store.leases, thread_id_of(thread_id)))

    def _begin_run(self, one_writer: OneWriter, config: RunnableConfig) -> Steps[None]:
        """If a graph run begins with this read, take the lease of its thread."""
        if begins_run(config):
            thread_id = ids_of(config)[0]
            yield from one_writer.begin(config, thread_id, self.own_lease(thread_id))

    def _under_lease(self, config: RunnableConfig, attempt: WriteAttempt) -> bool:
        """Note the lease under which a write is stored, if there is one; returns whether it may be stored now.

        Raises:
            LeaseLost: it is known that the lease was lost.
        """
        lease = self._lease_of(config, attempt.thread_id)
        if lease is None:
            return self._one_writer is None
        lease.check()
        lease.used()
        attempt.lease = lease
        return True

    def _lease_of(self, config: RunnableConfig, thread_id: str) -> ThreadLease | None:
        if self._one_writer is not None:
            return self._one_writer.lease_of(config, thread_id) or self.own_lease(thread_id)
        # A synchronous stream that a web server iterates over runs in another context at each step.
        return self.own_lease(thread_id) or self.store.leases.of(thread_id)

    def _write_alone(self, attempt: WriteAttempt) -> Steps[None]:
        """Store a write that belongs to no run, under a lease of its own.

        Raises:
            ThreadBusy: a run holds the thread. What this write builds on was read before that run ends, so it does not wait.
        """
        leases = self.store.leases
        lease = yield from leases.acquire(attempt.thread_id, wait_seconds=0, ttl=LEASE_SECONDS, label="an update")
        attempt.lease = lease
        try:
            yield from self.store.write(attempt)
        finally:
            yield from leases.release(lease)
