"""The worker thread that renews a store's leases, and looks after the requests of this process that wait for a thread.

It runs while there are any. Callers take no lock: each change of what is shared is one operation of a built-in type.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import NamedTuple, Protocol, TypeVar

from ckptstore.db.runner import Work
from ckptstore.errors import CkptStoreError, StoreClosed
from ckptstore.runtime.fork import in_child
from ckptstore.runtime.future import Future
from ckptstore.runtime.worker_threads import start_thread
from ckptstore.writes.leases import Answer, NewRequest, RequestKey, RequestState, ask, leave, renew, states
from ckptstore.writes.thread_lease import LeaseState, ThreadLease

T = TypeVar("T")

logger = logging.getLogger(__name__)

# A lease is renewed so many times before it would expire.
_RENEWALS = 3
# How often the database is asked for those who wait: soon at first, since most runs are short.
_FIRST_PAUSE_SECONDS = 0.005
_LONGEST_PAUSE_SECONDS = 0.1
_PAUSE_GROWTH = 1.5
# After a failure, and before the thread ends for want of work.
_RETRY_SECONDS = 1.0
_IDLE_SECONDS = 5.0


class Runs(Protocol):
    """Runs work on the database, on the calling thread's time."""

    def __call__(self, work: Work[T], /) -> T: ...


class Waiter(NamedTuple):
    """A request of this process that waits."""

    lease: ThreadLease
    request: NewRequest
    #: By the monotonic clock.
    until: float
    #: Done when the thread is held.
    future: Future[None]
    #: Makes the error for one that waited in vain.
    busy: Callable[[Answer], CkptStoreError]


def key_of(lease: ThreadLease) -> RequestKey:
    """The request of a lease."""
    return RequestKey(lease.thread_id, lease.fence)


class LeaseKeeper:
    """Renews leases and waits for threads.

    Args:
        read: runs work that reads.
        write: runs work that writes.
    """

    def __init__(self, read: Runs, write: Runs) -> None:
        self._read = read
        self._write = write
        self._reset()
        in_child(self._forget)

    def _reset(self) -> None:
        self.held: dict[RequestKey, ThreadLease] = {}
        #: The newest one of each thread.
        self.by_thread: dict[str, ThreadLease] = {}
        self.waiting: dict[RequestKey, Waiter] = {}
        self._left: deque[RequestKey] = deque()
        self._signals: SimpleQueue[None] = SimpleQueue()
        #: One item while no thread runs: a thread takes it, not the caller, who may be interrupted before it starts one.
        self._permits: deque[None] = deque([None])
        self._pause = _FIRST_PAUSE_SECONDS
        self._look_at = 0.0
        self._retry_at = 0.0
        self._closed = False

    def _forget(self) -> None:
        # They are the parent's: a child of a fork that wrote under them would be a second writer.
        for lease in self.held.values():
            lease.state = LeaseState.RELEASED
        self._reset()

    # --- from any thread

    def hold(self, lease: ThreadLease) -> None:
        """Renew a lease from now on."""
        lease.state, lease.renewed_at = LeaseState.HELD, monotonic()
        self.held[key_of(lease)] = self.by_thread[lease.thread_id] = lease
        self._start()

    def wait_for(self, waiter: Waiter) -> None:
        """Look after a request that is in the database, and complete its future."""
        self.waiting[key_of(waiter.lease)] = waiter
        self._pause = _FIRST_PAUSE_SECONDS
        self._look_at = monotonic() + self._pause
        self._start()

    def granted(self, key: RequestKey) -> None:
        """Note that a request holds its thread now, if it is one of this process that waits."""
        waiter = self.waiting.pop(key, None)
        if waiter is not None:
            self.hold(waiter.lease)
            waiter.future.complete(None, None)

    def drop(self, lease: ThreadLease) -> None:
        """Neither renew a lease nor wait for it any more."""
        self.held.pop(key_of(lease), None)
        self.waiting.pop(key_of(lease), None)
        if self.by_thread.get(lease.thread_id) is lease:
            self.by_thread.pop(lease.thread_id, None)

    def leave_soon(self, lease: ThreadLease) -> None:
        """Like `drop`, and take its request out of the database."""
        self.drop(lease)
        self._left.append(key_of(lease))
        self._start()

    def _start(self) -> None:
        self._signals.put(None)
        if self._permits and not self._closed:
            start_thread(self._loop, "ckptstore-leases")

    def close(self) -> None:
        """Give every lease back, and end the thread; blocks, on a worker thread."""
        self._closed = True
        self._signals.put(None)
        for waiter in [self.waiting.pop(key) for key in list(self.waiting)]:
            self._left.append(key_of(waiter.lease))
            waiter.future.complete(None, StoreClosed())
        for lease in [self.held.pop(key) for key in list(self.held)]:
            lease.state = LeaseState.RELEASED
            self._left.append(key_of(lease))
        self._leave()

    # --- on the thread

    def _loop(self) -> None:
        while self._take_permit():
            while not self._closed and self._has_work():
                self._turn()
                with suppress(Empty):
                    self._signals.get(timeout=self._seconds_until_due())
            self._permits.append(None)
            if self._closed or not self._has_work():
                # A caller that adds work from now on finds the permit.
                return

    def _take_permit(self) -> bool:
        try:
            self._permits.pop()
        except IndexError:
            return False
        return True

    def _has_work(self) -> bool:
        return bool(self.held or self.waiting or self._left)

    def _seconds_until_due(self) -> float:
        leases = [*self.held.values(), *[waiter.lease for waiter in list(self.waiting.values())]]
        times = [lease.renewed_at + lease.ttl / _RENEWALS for lease in leases]
        if self.waiting:
            times.append(self._look_at)
        if not times:
            return max(0.0, self._retry_at - monotonic()) if self._left else _IDLE_SECONDS
        return max(0.0, min(times) - monotonic(), self._retry_at - monotonic())

    def _turn(self) -> None:
        try:
            self._leave()
            self._renew()
            if self.waiting and monotonic() >= self._look_at:
                self._look()
        except StoreClosed:
            self._closed = True
        except Exception:
            self._retry_at = monotonic() + _RETRY_SECONDS
            message = "leases of threads can't be renewed or released, will retry in %.0f s"
            logger.exception(message, _RETRY_SECONDS, extra={"event": "thread_leases_not_renewed", "held": len(self.held)})

    def _leave(self) -> None:
        while self._left:
            key = self._left.popleft()
            try:
                holder = self._write(partial(leave, key=key)).holder
            except BaseException:
                self._left.appendleft(key)
                raise
            if holder is not None:
                self.granted(RequestKey(key.thread_id, holder))

    def _renew(self) -> None:
        now = monotonic()
        for lease in list(self.held.values()):
            if lease.idle_since is not None and now > lease.idle_since + lease.ttl:
                self.drop(lease)
        leases = {**self.held, **{key: waiter.lease for key, waiter in list(self.waiting.items())}}
        if not any(now >= lease.renewed_at + lease.ttl / _RENEWALS for lease in leases.values()):
            return
        found = self._write(partial(renew, keys=list(leases)))
        for key, lease in leases.items():
            if key in found:
                lease.renewed_at = now
            elif key in self.held:
                self.drop(lease)
                lease.lose()

    def _look(self) -> None:
        """Ask the database about those who wait."""
        found = {RequestKey(each.thread_id, each.fence): each for each in self._read(partial(states, keys=list(self.waiting)))}
        for key, waiter in list(self.waiting.items()):
            self._look_at_one(key, waiter, found.get(key))
        self._pause = min(self._pause * _PAUSE_GROWTH, _LONGEST_PAUSE_SECONDS)
        self._look_at = monotonic() + self._pause

    def _look_at_one(self, key: RequestKey, waiter: Waiter, state: RequestState | None) -> None:
        is_late = monotonic() >= waiter.until
        if state is not None and state.place == 0:
            self.granted(key)
        elif state is None or state.is_free or is_late:
            answer = self._write(partial(ask, request=waiter.request, may_wait=True))
            if answer.is_granted:
                self.granted(key)
            elif is_late and self.waiting.pop(key, None) is not None:
                self._left.append(key)
                waiter.future.complete(None, waiter.busy(answer))
