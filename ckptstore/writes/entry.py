"""One caller's write on its way through the queue."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol

from ckptstore.db.runner import Work
from ckptstore.errors import StoreClosed


class Payload(Protocol):
    """What a batch is made of."""

    @property
    def blocks_thread(self) -> bool:
        """Whether what follows it in its thread has to wait for the next batch: it may turn out to miss something."""
        ...

    @property
    def size(self) -> int:
        """Bytes that go into the database."""
        ...


class Making(NamedTuple):
    """A payload, or the promise of one: large values are uploaded before they are ready."""

    #: Bytes that are held in memory for it until it is durable.
    held: int
    payload: Payload | Future[Any]


#: Makes a payload; told None at first, or why the last one was not stored.
Make = Callable[[Any], Making]


class Queue(Protocol):
    """What a unit asks of the writer that it belongs to."""

    def expect(self, unit: Unit, held: int) -> None:
        """A unit's payload is on its way; it keeps so many bytes in memory until it is settled."""
        ...

    def accept(self, unit: Unit, payload: Payload, held: int = 0) -> None:
        """A unit's payload is there; it keeps so many bytes more in memory until it is settled."""
        ...

    def forget(self, unit: Unit) -> None:
        """Take a unit that was not submitted out of the queue."""
        ...

    def drop(self, unit: Unit) -> None:
        """The same, and no more: others that wait for room are not let in."""
        ...


class Unit:
    """One caller's write: reserved, then submitted or abandoned."""

    __slots__ = ("_queue", "alone", "future", "held", "make", "payload", "promised", "refused", "threads", "waited", "work")

    def __init__(self, queue: Queue, threads: tuple[str, ...], make: Make | None, work: Work[Any] | None) -> None:
        self._queue = queue
        self.threads = threads
        #: Done when the write is durable, or has failed.
        self.future: Future[Any] = Future()
        self.payload: Payload | None = None
        self.make = make
        self.work = work
        self.alone = work is not None
        #: Whether the writer closed before it was handed over: what comes then changes nothing.
        self.refused = False
        #: Whether there was no room when it came: it is filled when there is.
        self.waited = False
        #: Whether the payload was handed over and is on its way: closing waits for it.
        self.promised = False
        self.held = 0

    @property
    def ready(self) -> bool:
        """Whether the caller has handed over what to write."""
        return self.payload is not None or self.work is not None

    def fill(self, why_again: Any = None) -> None:
        """Make what is to be written, and submit it as soon as it is ready; if that fails, so does the unit."""
        assert self.make is not None
        try:
            held, payload = self.make(why_again)
        except BaseException as exc:
            self._queue.drop(self)
            self._fail(exc)
            return
        if isinstance(payload, Future):
            self._queue.expect(self, held)
            payload.add_done_callback(self._keep_promise)
        else:
            self._queue.accept(self, payload, held)

    def _keep_promise(self, promise: Future[Any]) -> None:
        exc = promise.exception() if not promise.cancelled() else StoreClosed("the upload was given up: the saver was closed")
        if exc is None:
            self.submit(promise.result())
        else:
            self._queue.forget(self)
            self._fail(exc)

    def _fail(self, exc: BaseException) -> None:
        if not self.refused:
            self.future.set_exception(exc)

    def submit(self, payload: Payload) -> Future[Any]:
        """Hand over rows; they may share a transaction with others'."""
        self._queue.accept(self, payload)
        return self.future

    def refuse(self) -> None:
        """Fail a unit that was not submitted when the writer closed."""
        self.future.set_exception(StoreClosed("the saver was closed before this write was handed over; build another one"))

    def abandon(self) -> None:
        """Give up the place in the queue; for a unit that was not submitted."""
        self._queue.forget(self)
