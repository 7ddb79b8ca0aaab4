"""A store that continues on the new database when it meets the seal of a move.

Guarantees: until everything is on the new database, writes wait, and what the seal refused is written there afterwards. The writes of a
thread are stored in the order of the calls. A read that begins after a write has returned, of any process, finds it. It follows once: a
seal on the new database is an error as for every store.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import URL

from ckptstore.blobs.location import BlobLocation
from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.db.open import open_database
from ckptstore.db.runner import Runner, Work
from ckptstore.db.secrets import masked
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import default_blob_url, is_memory
from ckptstore.errors import StoreClosed, StoreMoved
from ckptstore.records import LoadedCheckpoint
from ckptstore.runtime.fork import in_child
from ckptstore.runtime.future import Future
from ckptstore.runtime.steps import Steps, drive
from ckptstore.runtime.worker_threads import run_in_thread
from ckptstore.store.store import Store
from ckptstore.transfer.following_queue import FollowingQueue
from ckptstore.transfer.remembered import origin_of_database
from ckptstore.transfer.seal import Seal, read_seal
from ckptstore.values.decode import Loaded
from ckptstore.writes.attempt import WriteEncoder
from ckptstore.writes.commit import begin_batch, commit_batch
from ckptstore.writes.queue import WriteQueue

T = TypeVar("T")

logger = logging.getLogger(__name__)

# How often it is looked whether the move has ended; it takes about a second.
_POLL_SECONDS = 0.05


class NewDatabase(NamedTuple):
    """Where a store may go on."""

    url: URL
    #: Where its blobs are, if its database does not remember it.
    blobs: str | None


class FollowingStore(Store):
    """A store with a second database, see the module.

    Args:
        runner: see `StoreBase`, and so are the keywords.
        settings: `retry_seconds` is also how long a write waits for the end of a move.
        new_database: where it goes on.
    """

    def __init__(self, runner: Runner, settings: DatabaseSettings, *, new_database: NewDatabase, **options: Any) -> None:
        self._new_database = new_database
        self._first_queue: FollowingQueue | None = None
        #: Whether it has followed.
        self._is_there = False
        #: The registry and the runner of the first database, once it has left that.
        self._left: tuple[ObjectRegistry, Runner] | None = None
        super().__init__(runner, settings, **options)
        self._reset()
        in_child(self._reset)

    def _reset(self) -> None:
        self._following: Future[None] | None = None
        self._lock = threading.Lock()

    def _new_queue(self, runner: Runner, encoder: WriteEncoder) -> WriteQueue:
        if self._first_queue is None:
            self._first_queue = FollowingQueue(runner, commit_batch, encoder, self._settings, begin_batch=begin_batch, follow=self._reopen)
        else:
            self._first_queue.there = super()._new_queue(runner, encoder)
        return self._first_queue

    def _close(self, before: Callable[[float], None] | None) -> None:
        try:
            super()._close(before)
        finally:
            if self._left is not None:
                for part in self._left:
                    part.close(self._close_seconds)

    # --- following

    def _follow(self) -> Steps[None]:
        """Wait until this store is on the new database, or its seal was taken away. Callers share it.

        Raises:
            StoreMoved: the seal names another database than the one that this store was told of, or the move does not end.
            DatabaseUnavailable: one of the two databases can't be reached.
        """
        following = self._following
        if following is None or following.done():
            following = self._following = run_in_thread(self._reopen, "ckptstore-follow")
        yield following

    def _reopen(self) -> None:
        """Continue on the new database. On a worker thread."""
        with self._lock:
            if self._is_there or (seal := self._ended_seal()) is None:
                return
            url = self._checked(seal)
            runner = open_database(url, self._settings, seal.schema, self.monitor)
            try:
                location = BlobLocation(runner.url, None)
                runner.read(location.look_up).result()
            except BaseException:
                runner.close()
                raise
            if self._closed:
                runner.close()
                raise StoreClosed
            self._left = (self.objects, self.runner)
            blobs = location.remembered or self._new_database.blobs or default_blob_url(runner.url)
            self._open(runner, blobs, upgrade=runner.statements.on_sqlite)
            self._is_there = True
        logger.info("goes on at %s, where the threads have moved", seal.to, extra={"event": "store_followed", "to": seal.to})

    def _ended_seal(self) -> Seal | None:
        """The seal, once the move has ended; None if there is none any more."""
        until = time.monotonic() + self._settings.retry_seconds
        while True:
            seal = self.runner.read(read_seal).result()
            if seal is None or seal.done:
                return seal
            if self._closed or time.monotonic() > until:
                raise StoreMoved(
                    f"the threads of {masked(self.runner.url)} are being moved to {seal.to}, and the move has not ended within "
                    f"{self._settings.retry_seconds:g} s; run ckptstore move again, or take it back with --unseal",
                    seal.to,
                )
            time.sleep(_POLL_SECONDS)

    def _checked(self, seal: Seal) -> URL:
        url = self._new_database.url
        if origin_of_database(url, seal.schema) != seal.place:
            problem = f"moved_to names another database, {masked(url)}; give it the host, port and database of the new one"
        elif url.get_backend_name() == "sqlite" and not is_memory(url) and not Path(str(url.database)).exists():
            problem = f"there is no file {url.database}"
        else:
            return url
        raise StoreMoved(f"the threads of {masked(self.runner.url)} have moved to {seal.to}, and {problem}", seal.to)

    # --- what depends on where it is

    def wherever(self, operation: Callable[[], Steps[T]]) -> Steps[T]:
        """Run an operation; if it meets the seal, follow, and run it once more."""
        while not self._is_there:
            try:
                return (yield from operation())
            except StoreMoved:
                yield from self._follow()
        return (yield from operation())

    def read(self, work: Work[T]) -> Steps[T]:
        """See `StoreBase.read`."""
        return self._up_to_date(lambda: super(FollowingStore, self).read(work))

    def _load(self, work: Work[Loaded[T]]) -> Steps[T]:
        return self._up_to_date(lambda: super(FollowingStore, self)._load(work))

    def checkpoint_here(self, thread_id: str, checkpoint_ns: str, checkpoint_id: str | None) -> LoadedCheckpoint | None:
        """See `StoreReading.checkpoint_here`."""
        if self._is_there:
            return super().checkpoint_here(thread_id, checkpoint_ns, checkpoint_id)
        return drive(self.checkpoint(thread_id, checkpoint_ns, checkpoint_id))

    def ready_objects(self) -> Steps[ObjectRegistry]:
        """See `StoreBase.ready_objects`."""
        yield from self.read(read_seal)
        return (yield from super().ready_objects())

    def _up_to_date(self, read: Callable[[], Steps[T]]) -> Steps[T]:
        """What is read, on the new database if the move had ended before the end of the read: others may have written there since."""
        while not self._is_there:
            runner = self.runner
            found = yield from read()
            # Afterwards: what is not sealed by then was current at the time of the read.
            seal: Seal | None = yield runner.read(read_seal)
            if not self._is_there and (seal is None or not seal.done):
                return found
            yield from self._follow()
        return (yield from read())
