"""Taking the lease of a thread and releasing it: for one store, by any of its callers."""

from __future__ import annotations

import os
import socket
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from ckptstore.db.runner import Work
from ckptstore.db.times import from_microseconds
from ckptstore.errors import ThreadBusy
from ckptstore.runtime.future import Future
from ckptstore.runtime.steps import Steps, drive
from ckptstore.store.lease_keeper import LeaseKeeper, Waiter, key_of
from ckptstore.writes.leases import Answer, Departure, NewRequest, RequestKey, ask, leave
from ckptstore.writes.thread_lease import LeaseState, ThreadLease

if TYPE_CHECKING:
    from ckptstore.store.base import StoreBase

T = TypeVar("T")

_SECOND = 1_000_000


class Leases:
    """The leases of one store.

    Args:
        store: whose database has them.
    """

    def __init__(self, store: StoreBase) -> None:
        self._store = store
        self._keeper = LeaseKeeper(self._read, self._write)
        #: False until the first lease is asked for: until then a write does not look for one.
        self.in_use = False

    def _read(self, work: Work[T], /) -> T:
        return drive(self._store.read(work))

    def _write(self, work: Work[T], /) -> T:
        return drive(self._store.run_concurrently(work))

    def of(self, thread_id: str) -> ThreadLease | None:
        """The lease of a thread that this store holds; None if it holds none."""
        return self._keeper.by_thread.get(thread_id)

    def acquire(self, thread_id: str, *, wait_seconds: float, ttl: float, label: str, take_over: bool = False) -> Steps[ThreadLease]:
        """Take the lease of a thread.

        Args:
            thread_id: the thread.
            wait_seconds: for how long to wait while another one holds it; 0 not to wait.
            ttl: seconds for which the lease outlives its last renewal.
            label: what the holder calls itself.
            take_over: whether to take it from whoever holds it.

        Raises:
            ThreadBusy: another one holds the thread.
        """
        self.in_use = True
        lease = ThreadLease(thread_id, label, ttl)
        request = NewRequest(thread_id, lease.fence, socket.gethostname(), os.getpid(), label, round(ttl * _SECOND))
        until = monotonic() + wait_seconds
        try:
            asking = partial(ask, request=request, may_wait=wait_seconds > 0, take_over=take_over)
            answer: Answer = yield from self._store.run_concurrently(asking)
            if answer.is_granted:
                self._keeper.hold(lease)
            elif wait_seconds > 0:
                waiter = Waiter(lease, request, until, Future(), partial(_busy, thread_id))
                self._keeper.wait_for(waiter)
                yield waiter.future
        except ThreadBusy:
            raise
        except BaseException:
            # It may be in the database, or be granted just now.
            self.abandon(lease)
            raise
        if lease.state is not LeaseState.HELD:
            raise _busy(thread_id, answer)
        return lease

    def release(self, lease: ThreadLease) -> Steps[None]:
        """Give a lease back; the first one that waits has the thread then.

        Raises:
            LeaseLost: another one had taken it.
        """
        if lease.state is not LeaseState.HELD:
            lease.check()
        try:
            # After the writes to the thread that were queued before, which are this holder's.
            departure: Departure = yield from self._store.run_in_queue(partial(leave, key=key_of(lease)), lease.thread_id)
        except BaseException:
            self.abandon(lease)
            raise
        self._keeper.drop(lease)
        if departure.holder is not None:
            self._keeper.granted(RequestKey(lease.thread_id, departure.holder))
        if not departure.was_there:
            raise lease.lose()
        lease.state = LeaseState.RELEASED

    def abandon(self, lease: ThreadLease) -> None:
        """Release a lease, or take a request out of the queue, soon and without waiting."""
        lease.state = LeaseState.RELEASED
        self._keeper.leave_soon(lease)

    def close(self) -> None:
        """Give every lease back; blocks, on a worker thread."""
        self._keeper.close()


def _busy(thread_id: str, answer: Answer) -> ThreadBusy:
    holder = answer.holder
    assert holder is not None
    until = from_microseconds(holder.expires_at)
    name = f"{holder.label!r}, process {holder.pid} on {holder.host}" if holder.label else f"process {holder.pid} on {holder.host}"
    message = (
        f"thread {thread_id!r} is held by {name}, since {from_microseconds(holder.since):%Y-%m-%d %H:%M:%S} UTC and until "
        f"{until:%Y-%m-%d %H:%M:%S} UTC unless it is renewed; try again later, or wait for it"
    )
    return ThreadBusy(message, thread_id=thread_id, host=holder.host, pid=holder.pid, label=holder.label, until=until)
