"""What a run has done so far: counts for the report, threads that failed, and a sample of what was stored."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict

from ckptstore.transfer.options import TransferCallbacks
from ckptstore.transfer.parcel import Parcel, SourceThread
from ckptstore.transfer.report import TransferReport
from ckptstore.transfer.sample import Sample

logger = logging.getLogger(__name__)


class Progress:
    """Counts what a run does, and tells its caller.

    Args:
        callbacks: called after each thread.
    """

    def __init__(self, callbacks: TransferCallbacks) -> None:
        self.report = TransferReport()
        #: Some of the checkpoints that were stored, to be compared as objects.
        self.sample = Sample()
        #: Whether the run ends after the parcel that is being stored.
        self.is_stopped = False
        self._callbacks = callbacks
        self._done = 0

    def must_stop(self) -> bool:
        """Whether no other thread is begun."""
        self.is_stopped = self.is_stopped or self._callbacks.should_stop()
        return self.is_stopped

    def stored(self, parcel: Parcel, *, existed: bool) -> None:
        """Count a parcel that was stored."""
        report = self.report
        if not existed:
            report.threads += len(parcel.threads)
        elif parcel.rows or (parcel.existing is not None and parcel.existing.hashes - parcel.expected):
            report.updated_threads += 1
        else:
            report.unchanged_threads += 1
        report.checkpoints += parcel.rows.get("ckpt_checkpoint", 0)
        report.writes += parcel.rows.get("ckpt_write", 0)
        report.values += parcel.rows.get("ckpt_channel", 0)
        report.segments += parcel.rows.get("ckpt_segment", 0)
        report.bytes += parcel.bytes
        self.sample.add(parcel.visible)
        self.finish(parcel.threads)

    def unchanged(self, thread: SourceThread) -> None:
        """Count a thread that is at the target as it is at the source."""
        self.report.unchanged_threads += 1
        self.finish([thread])

    def skipped(self, thread: SourceThread) -> None:
        """Count a thread that is left as it is at the target."""
        self.report.skipped_threads.append(thread.thread_id)
        self.finish([thread])

    def failed(self, thread: SourceThread, exc: Exception) -> None:
        """Count a thread that can't be transferred."""
        self.report.failed_threads[thread.thread_id] = str(exc)
        fields = {"event": "thread_not_transferred", "thread_id": thread.thread_id}
        logger.warning("thread %r was not transferred: %s", thread.thread_id, exc, extra=fields)
        self.finish([thread])

    def finish(self, threads: Sequence[SourceThread]) -> None:
        """Count threads that are done, with whatever outcome."""
        self._done += sum(max(1, thread.checkpoints) for thread in threads)
        self._callbacks.progress(self.report, self._done)

    def end(self) -> TransferReport:
        """Log the report, and return it."""
        self.report.stopped = self.is_stopped
        counts = {name: count for name, count in asdict(self.report).items() if not isinstance(count, (list, dict))}
        logger.info("transferred %d threads", self.report.threads, extra={"event": "transferred", **counts})
        return self.report
