"""A transfer: threads of a source are read and stored at a target, one parcel while the next is read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from functools import partial

from ckptstore.errors import CheckpointCorrupt, CkptStoreError, ThreadExists
from ckptstore.maintenance.turns import take_turn
from ckptstore.runtime.random_ids import random_text
from ckptstore.runtime.steps import drive_async
from ckptstore.store.store import Store
from ckptstore.transfer.checking import check_stored
from ckptstore.transfer.decisions import Comparison, Decision, compare, decide_all, existing_thread
from ckptstore.transfer.mirroring import delete_gone
from ckptstore.transfer.objects import ObjectTransfer
from ckptstore.transfer.options import TransferCallbacks, TransferOptions
from ckptstore.transfer.parcel import THREAD_FAULTS, Parcel, SourceThread, Stamp, ThreadGone, ThreadSource, is_full
from ckptstore.transfer.progress import Progress
from ckptstore.transfer.report import TransferReport
from ckptstore.transfer.sample import Sample
from ckptstore.transfer.writing import Attempt, ObjectsGone, StoreParcel, ThreadChanged

# Activity is noted once a second, and clocks differ: a thread that was written to so recently is looked at again by the next run.
_SETTLED_MICROSECONDS = 5_000_000
_MAX_TRIES = 5


class Transfer:
    """One run, on the loop of the target's registry of objects.

    Args:
        source: where threads come from.
        target: where they go.
        objects: brings the objects that the rows refer to; None if the source has none.
        options: what is brought.
        clock: gives microseconds since 1970, UTC.
        callbacks: called while it runs.
    """

    def __init__(
        self,
        source: ThreadSource,
        target: Store,
        objects: ObjectTransfer | None,
        options: TransferOptions,
        clock: Callable[[], int],
        callbacks: TransferCallbacks,
    ) -> None:
        self._source, self._target, self._objects = source, target, objects
        self._options, self._clock = options, clock
        self._progress = Progress(callbacks)
        self._check: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """End the run after the parcel that is being stored; what was stored is kept, and the next run continues."""
        self._progress.is_stopped = True

    @property
    def sample(self) -> Sample:
        """Some of the checkpoints that were stored."""
        return self._progress.sample

    async def run(self) -> TransferReport:
        """Transfer all chosen threads.

        Raises:
            ThreadExists: with `refuse`, a thread is at the target; nothing was stored.
            DatabaseUnavailable: one of the two can't be reached any more; what was stored is kept, and the next run continues.
        """
        started = time.perf_counter()
        if self._options.on_conflict == "refuse":
            await self._refuse_existing()
        await self._transfer_all()
        report = self._progress.report
        if self._options.mirror and not self._progress.is_stopped:
            report.deleted_threads = await delete_gone(self._source, self._target, self._options.choice)
        if self._objects is not None:
            report.objects, report.object_bytes = self._objects.copied, self._objects.copied_bytes
        report.seconds = time.perf_counter() - started
        return self._progress.end()

    async def _refuse_existing(self) -> None:
        async with aclosing(self._source.threads(self._options.choice)) as pages:
            async for page in pages:
                for thread, decision in zip(page, await self._decide(page), strict=True):
                    if decision is Decision.COMPARE:
                        raise ThreadExists(
                            f"thread {thread.thread_id!r} is at the target already, with something else; nothing was stored. Leave such "
                            "threads out (--on-conflict skip), or bring what they lack if all that they have is at the source (continue)"
                        )

    async def _transfer_all(self) -> None:
        parcels: asyncio.Queue[Parcel | None] = asyncio.Queue(maxsize=1)
        reader = asyncio.create_task(self._read_all(parcels))
        try:
            while (parcel := await parcels.get()) is not None:
                await self._store(parcel)
            await reader
            await self._checked()
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await reader
            with suppress(asyncio.CancelledError, Exception):
                await self._checked()
            while not parcels.empty():
                if (left := parcels.get_nowait()) is not None:
                    left.spool.close()

    # --- reading

    async def _read_all(self, parcels: asyncio.Queue[Parcel | None]) -> None:
        try:
            new: list[SourceThread] = []
            choice = self._options.choice
            missing = dict.fromkeys(choice.thread_ids or () if choice.since is None else ())
            async with aclosing(self._source.threads(choice)) as pages:
                async for page in pages:
                    for thread, decision in zip(page, await self._decide(page), strict=True):
                        missing.pop(thread.thread_id, None)
                        if self._progress.must_stop():
                            return
                        if decision is Decision.NEW:
                            if new and is_full([*new, thread]):
                                await self._read(new, parcels)
                                new = []
                            new.append(thread)
                        else:
                            await self._read_existing(thread, decision, parcels)
            await self._read(new, parcels)
            self._progress.report.missing_threads = list(missing)
        finally:
            task = asyncio.current_task()
            # If it was cancelled, nobody takes anything from the queue any more, which may be full.
            if task is None or not task.cancelling():
                await parcels.put(None)

    async def _decide(self, threads: Sequence[SourceThread]) -> list[Decision]:
        return await self._target.objects.read(partial(decide_all, threads=list(threads), origin=self._source.origin))

    async def _read(self, threads: Sequence[SourceThread], parcels: asyncio.Queue[Parcel | None]) -> None:
        """Read threads that are not at the target."""
        if not threads:
            return
        try:
            await parcels.put(await self._source.parcel(threads, None))
        except ThreadGone:
            self._progress.finish(threads)
        except THREAD_FAULTS as exc:
            if len(threads) == 1:
                self._progress.failed(threads[0], exc)
                return
            for each in threads:
                await self._read([each], parcels)

    async def _read_existing(self, thread: SourceThread, decision: Decision, parcels: asyncio.Queue[Parcel | None]) -> None:
        if decision is Decision.UNCHANGED:
            self._progress.unchanged(thread)
            return
        try:
            parcel = await self._compared(thread, decision)
        except (ThreadGone, ThreadChanged):
            # The next run looks at it again.
            self._progress.finish([thread])
        except THREAD_FAULTS as exc:
            self._progress.failed(thread, exc)
        else:
            if parcel is not None:
                await parcels.put(parcel)

    async def _compared(self, thread: SourceThread, decision: Decision) -> Parcel | None:
        """What a thread at the target lacks; None if it is to be left as it is."""
        mirror = self._options.mirror and decision is Decision.UPDATE
        existing = await self._target.objects.read(partial(existing_thread, thread_id=thread.thread_id, mirror=mirror))
        if existing is None:
            raise ThreadChanged
        parcel = await self._source.parcel([thread], existing)
        if decision is Decision.UPDATE:
            return parcel
        comparison = compare(parcel)
        if comparison is Comparison.SAME or (comparison is Comparison.BEHIND and self._options.on_conflict == "continue"):
            return parcel
        parcel.spool.close()
        self._progress.skipped(thread)
        return None

    # --- storing

    async def _store(self, parcel: Parcel) -> None:
        threads, existing = parcel.threads, parcel.existing
        try:
            await self._store_once(parcel)
        except (ThreadChanged, ObjectsGone, *THREAD_FAULTS) as exc:
            parcel.spool.close()
            if isinstance(exc, ObjectsGone):
                await self._target.objects.forget(exc.keys)
            for each in threads:
                await self._store_alone(each)
        else:
            self._progress.stored(parcel, existed=existing is not None)

    async def _store_alone(self, thread: SourceThread) -> None:
        """Read and store one thread, after a fault of the parcel that it was in, or because something has changed."""
        last: Exception | None = None
        for _ in range(_MAX_TRIES):
            try:
                await self._read_and_store(thread)
                return
            except ThreadGone:
                self._progress.finish([thread])
                return
            except (ThreadChanged, ObjectsGone) as exc:
                last = exc
            except THREAD_FAULTS as exc:
                last = exc
                break
        message = str(last) or f"thread {thread.thread_id!r} changed at the target {_MAX_TRIES} times while it was stored"
        self._progress.failed(thread, CheckpointCorrupt(message) if not isinstance(last, CkptStoreError) else last)

    async def _read_and_store(self, thread: SourceThread) -> None:
        (decision,) = await self._decide([thread])
        parcel = await self._source.parcel([thread], None) if decision is Decision.NEW else None
        if decision is Decision.UNCHANGED:
            self._progress.finish([thread])
            return
        parcel = parcel or await self._compared(thread, decision)
        if parcel is not None:
            await self._store_once(parcel)
            self._progress.stored(parcel, existed=decision is not Decision.NEW)

    async def _store_once(self, parcel: Parcel) -> None:
        now = self._clock()
        settled = frozenset(each.thread_id for each in parcel.threads if now - each.updated_at > _SETTLED_MICROSECONDS)
        # A part of a thread is looked at again by the next run, which may want all of it.
        trusted = settled if self._options.choice.newest is None else frozenset()
        with parcel.spool:
            if self._objects is not None:
                await self._objects.bring(parcel, now)
            store = StoreParcel(parcel, Attempt(random_text(12), self._source.origin, trusted, now))
            await drive_async(take_turn(self._target, store, *[each.thread_id for each in parcel.threads]))
        await self._checked()
        if self._options.verify != "none":
            # While the next parcel is stored.
            self._check = asyncio.create_task(self._verify(parcel, store.stamps))

    async def _verify(self, parcel: Parcel, stamps: dict[str, Stamp]) -> None:
        check = partial(check_stored, stamps=stamps, expected=parcel.expected)
        try:
            self._progress.report.verified_rows += await self._target.objects.read(check)
        except THREAD_FAULTS as exc:
            for thread in parcel.threads:
                self._progress.report.failed_threads[thread.thread_id] = str(exc)

    async def _checked(self) -> None:
        """Wait until the last parcel is verified."""
        check, self._check = self._check, None
        if check is not None:
            await check
