"""The queue of requests for a thread, in the database: who holds it, and who is next.

The request at place 0 holds the thread, and there is one as long as any waits: whoever releases it lets the first of the others have it.
A request that is not renewed expires, and the next one who looks deletes it. Each function may run twice with the effect of once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.leases import Request
from ckptstore.db.sql.tables import LEASE_KEY


class NewRequest(NamedTuple):
    """A request for a thread."""

    thread_id: str
    fence: str
    host: str
    pid: int
    label: str
    #: Microseconds from each renewal until it expires.
    ttl: int


class Answer(NamedTuple):
    """What became of a request."""

    is_granted: bool
    #: Who holds the thread, if it was not granted.
    holder: Request | None = None


class Departure(NamedTuple):
    """What a request left behind."""

    #: Whether it was still in the queue.
    was_there: bool
    #: The fence of the request that holds the thread now; None if there is none.
    holder: str | None = None


class RequestKey(NamedTuple):
    """A request in the database."""

    thread_id: str
    fence: str


class RequestState(NamedTuple):
    """A request that waits, or holds its thread."""

    thread_id: str
    fence: str
    place: int
    #: Whether nobody holds the thread any more: the first who asks moves the queue on.
    is_free: bool


_GRANTED = Answer(True)


def ask(db: Db, request: NewRequest, *, may_wait: bool, take_over: bool = False) -> Answer:
    """Take a thread, or join its queue.

    Args:
        db: of the database.
        request: the request; asked again, it keeps its place.
        may_wait: whether it joins the queue if another one holds the thread.
        take_over: whether it takes the thread from the one that holds it, and before those that wait.
    """
    while True:
        if _insert(db, request, 0):
            return _GRANTED
        with db.transaction():
            queue = _locked_queue(db, request.thread_id)
            if queue is not None:
                return _take_over(db, request, queue[0]) if take_over else _ask_in(db, request, queue, may_wait=may_wait)
        # It was released in between.


def leave(db: Db, key: RequestKey) -> Departure:
    """Delete a request; if it held its thread, the first one that waits has it."""
    with db.transaction():
        queue = _locked_queue(db, key.thread_id)
        if queue is None:
            return Departure(False)
        others = [each for each in queue if each.fence != key.fence]
        left = _without_expired(db, key.thread_id, others, also=[key])
        return Departure(len(others) < len(queue), left[0].fence if left else None)


def renew(db: Db, keys: Sequence[RequestKey]) -> set[RequestKey]:
    """Renew requests, whether they hold their threads or wait; returns those that exist."""
    return {RequestKey(*row) for row in db.run(sql.leases.renew, db.key_parameters(LEASE_KEY, keys))}


def states(db: Db, keys: Sequence[RequestKey]) -> list[RequestState]:
    """Those of some requests that exist."""
    return [RequestState(*row) for row in db.run(sql.leases.states_of, db.key_parameters(LEASE_KEY, keys))]


def _locked_queue(db: Db, thread_id: str) -> list[Request] | None:
    """The requests of a thread, which nobody else changes until the transaction ends; None if none holds it."""
    if not db.run(sql.leases.lock_holder, {"thread_id": thread_id}).all():
        return None
    return [Request(*row) for row in db.run(sql.leases.queue_of, {"thread_id": thread_id})]


def _ask_in(db: Db, request: NewRequest, queue: Sequence[Request], *, may_wait: bool) -> Answer:
    # One's own request has not expired: it is being asked again.
    queue = _without_expired(db, request.thread_id, [each._replace(expired=each.expired and each.fence != request.fence) for each in queue])
    own = next((each for each in queue if each.fence == request.fence), None)
    if own is None and (may_wait or not queue):
        place = queue[-1].place + 1 if queue else 0
        _insert(db, request, place)
        return Answer(place == 0, queue[0] if queue else None)
    if own is not None and own.place == 0:
        return _GRANTED
    return Answer(False, queue[0])


def _take_over(db: Db, request: NewRequest, holder: Request) -> Answer:
    if holder.fence != request.fence:
        db.run(sql.leases.drop, db.key_parameters(LEASE_KEY, [RequestKey(request.thread_id, holder.fence)]))
        _insert(db, request, 0)
    return _GRANTED


def _without_expired(db: Db, thread_id: str, queue: Sequence[Request], also: Iterable[RequestKey] = ()) -> Sequence[Request]:
    """Delete the requests of a queue that have expired, and some others, and let the first that remains hold the thread.

    Returns:
        The requests that remain.
    """
    deleted = [*also, *[RequestKey(thread_id, each.fence) for each in queue if each.expired]]
    if deleted:
        db.run(sql.leases.drop, db.key_parameters(LEASE_KEY, deleted))
    left = [each for each in queue if not each.expired]
    if left and left[0].place != 0:
        db.run(sql.leases.grant, {"thread_id": thread_id, "waiting_at": left[0].place})
        left[0] = left[0]._replace(place=0)
    return left


def _insert(db: Db, request: NewRequest, place: int) -> bool:
    return db.run(sql.leases.request, {**request._asdict(), "place": place}).rowcount == 1
