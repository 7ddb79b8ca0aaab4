"""The live move: threads are copied while agents write, until little is left; then the source is sealed, and the rest is copied."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from ckptstore.db.secrets import masked
from ckptstore.errors import CheckpointCorrupt, InvalidConfig
from ckptstore.maintenance.delete import unfinished_deletions
from ckptstore.records import StateFormat
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store
from ckptstore.transfer.copying import Copied, copy_store
from ckptstore.transfer.objects import ObjectTransfer
from ckptstore.transfer.options import BlobMode, TransferCallbacks, TransferOptions, Verify
from ckptstore.transfer.own_source import thread_totals
from ckptstore.transfer.remembered import origin_of_database
from ckptstore.transfer.report import TransferReport
from ckptstore.transfer.seal import Seal, end_move, read_seal, seal_store, unseal_store

# Little is left when a round takes less than this, or hardly less than the one before: agents write as fast as it copies.
_SHORT_SECONDS = 1.0
_NO_LONGER_SHRINKING = 0.8
_MAX_ROUNDS = 20


@dataclass(slots=True)
class MoveReport:
    """What a move did."""

    #: The new database, without secrets.
    to: str
    #: The report of each round of copying; the last one was made after the seal.
    rounds: list[TransferReport] = field(default_factory=list)
    #: Whether the source is sealed and everything is at the target.
    done: bool = False
    #: From the seal to the end.
    sealed_seconds: float = 0.0
    threads: int = 0
    checkpoints: int = 0

    @property
    def last(self) -> TransferReport:
        """The last round; an empty report if an earlier run had moved everything."""
        return self.rounds[-1] if self.rounds else TransferReport()


class Move:
    """One move between two of our stores.

    Args:
        source: its writers are refused from the seal on, not before.
        target: where the threads go.
        blobs: see `ObjectTransfer`.
        verify: see `TransferOptions`.
        state_format: what the checkpoints mean.
        clock: gives microseconds since 1970, UTC.
        callbacks: called while it runs.
    """

    def __init__(
        self,
        source: Store,
        target: Store,
        blobs: BlobMode | None,
        verify: Verify,
        state_format: StateFormat,
        clock: Callable[[], int],
        callbacks: TransferCallbacks,
    ) -> None:
        self._source, self._target, self._blobs = source, target, blobs
        self._options = TransferOptions(mirror=True, verify=verify)
        self._state_format, self._clock, self._callbacks = state_format, clock, callbacks
        schema = target.runner.statements.schema
        self.report = MoveReport(masked(target.runner.url) + (f" (schema {schema})" if schema else ""))

    def run(self) -> Steps[MoveReport]:
        """Move. If a round fails, or is stopped, the source is as it was; the next run continues.

        Raises:
            InvalidConfig: the source was moved to another database before.
            CheckpointCorrupt: what is at the target in the end differs; the source is not sealed any more.
            DatabaseUnavailable: one of the two can't be reached; the source is not sealed any more, if it can be reached.
        """
        sealed = yield from self._source.read(read_seal)
        if sealed is not None and sealed.to != self.report.to:
            raise InvalidConfig(
                f"this store has moved to {sealed.to}; take the seal away first if that is not so: ckptstore move --from URL --unseal"
            )
        if sealed is not None and sealed.done:
            # Savers may have written on the new database since: it is not compared any more.
            yield from self._count()
            self.report.done = True
            return self.report
        if sealed is None:
            # A prune would finish them, but not at the target.
            yield from self._source.finish_deletions()
        while sealed is None and not self._is_little_left():
            yield from self._round()
            if not self._went_through():
                return self.report
        yield from self._finish()
        return self.report

    def _round(self) -> Steps[None]:
        copied: Copied = yield from copy_store(
            self._source, self._target, self._options, self._blobs, self._state_format, self._clock, self._callbacks
        )
        self.report.rounds.append(copied.report)

    def _went_through(self) -> bool:
        return self.report.last.ok and not self.report.last.stopped

    def _is_little_left(self) -> bool:
        rounds = self.report.rounds
        if not rounds:
            return False
        is_stuck = len(rounds) > 1 and rounds[-1].seconds > rounds[-2].seconds * _NO_LONGER_SHRINKING
        return rounds[-1].seconds < _SHORT_SECONDS or is_stuck or len(rounds) >= _MAX_ROUNDS

    def _finish(self) -> Steps[None]:
        """Seal the source and bring the rest. If that fails, the source is unsealed, and accepts writes again."""
        started = time.perf_counter()
        yield self._source.runner.write(partial(seal_store, seal=self._seal()))
        is_whole = False
        try:
            yield from self._round()
            if self._went_through():
                yield from self._bring_other_objects()
                yield from self._compare()
                is_whole = True
        finally:
            if not is_whole:
                yield self._source.runner.write(unseal_store)
        if is_whole:
            # Savers may follow as soon as this is stored, so the seal stays even if its outcome is unknown: the next run ends it.
            yield self._source.runner.write(end_move)
            self.report.done = True
        self.report.sealed_seconds = time.perf_counter() - started

    def _seal(self) -> Seal:
        there = self._target.runner
        schema = there.statements.schema
        return Seal(self.report.to, self._clock(), origin_of_database(there.url, schema), schema)

    def _bring_other_objects(self) -> Steps[None]:
        """Blobs that were put by handle a moment ago, and that no state refers to yet."""
        objects = ObjectTransfer(self._source.objects, self._target.objects, self._blobs)
        yield self._target.objects.run(objects.bring_unreferenced(self._clock()))

    def _compare(self) -> Steps[None]:
        half_deleted = yield from self._source.read(unfinished_deletions)
        before = yield from self._source.read(partial(thread_totals, without=half_deleted))
        after = yield from self._target.read(partial(thread_totals, without=half_deleted))
        if before != after:
            raise CheckpointCorrupt(
                f"the source has {before.threads} threads with {before.checkpoints} checkpoints of {before.bytes} bytes, the target has "
                f"{after.threads} with {after.checkpoints} of {after.bytes}; was something else at the target?"
            )
        yield from self._count()

    def _count(self) -> Steps[None]:
        found = yield from self._target.read(thread_totals)
        self.report.threads, self.report.checkpoints = found.threads, found.checkpoints


def unseal(source: Store) -> Steps[bool]:
    """Let writers write to a store again; returns whether it was sealed."""
    found: bool = yield source.runner.write(unseal_store)
    return found
