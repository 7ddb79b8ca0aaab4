"""Copying threads to another saver: `copy_to`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from ckptstore.db.times import to_microseconds
from ckptstore.errors import InvalidConfig, brief, require_functions
from ckptstore.langgraph.base import SaverBase
from ckptstore.langgraph.comparing import compare_checkpoints, loading
from ckptstore.langgraph.config import require_ids, thread_id_of
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.runtime.steps import Steps, drive, drive_async
from ckptstore.transfer.options import BlobMode, OnConflict, TransferCallbacks, TransferOptions, Verify, ignore_progress, never_stop
from ckptstore.transfer.parcel import Choice
from ckptstore.transfer.report import TransferReport


class Transferring(SaverBase):
    """The part of the saver that copies threads to another one."""

    def copy_to(
        self,
        other: SaverBase,
        *,
        threads: Sequence[Any] | None = None,
        filter: dict[str, Any] | None = None,
        since: datetime | None = None,
        newest: int | None = None,
        on_conflict: OnConflict = "skip",
        mirror: bool = False,
        blobs: BlobMode | None = None,
        verify: Verify = "digests",
        progress: Callable[[TransferReport, int], None] = ignore_progress,
        should_stop: Callable[[], bool] = never_stop,
    ) -> TransferReport:
        """Copy threads with everything that they have to another saver, on any other database or schema.

        Both savers can be in use meanwhile. A thread appears at the target as a whole, in one transaction, as it was in one snapshot of
        the source. Repeat a run that ended midway, and it continues; a later run brings what has changed since. Rows are taken over as
        they are, so no object is built and no class imported; the other saver needs the same serialiser to read them.

        Args:
            other: the target.
            threads: ids of the threads to copy; None for all of them.
            filter: a metadata filter, as for `list`: only threads of which at least one checkpoint matches.
            since: only threads that were written to at or after this time; a naive `datetime` counts as UTC.
            newest: only so many of the newest checkpoints of each thread and namespace, and what they are rebuilt from.
            on_conflict: what to do with a thread that is at the target and was not brought by an earlier run, or was written to there
                since: `skip` it, `continue` it if all that it has is at the source too, or `refuse` to begin. They are never mixed.
            mirror: also delete at the target what was deleted at the source since an earlier run, as long as nobody wrote to it there.
            blobs: `keep` them where they are (both savers have the same `blob_url`; collect garbage with neither of the two while both are
                in use), or `copy` them. By default they are kept if the URLs are the same.
            verify: `digests` to read every row back and compare it, `objects` to also compare some checkpoints as both savers load
                them, or `none`.
            progress: called with the report so far, and the checkpoints of the source that are done, on a worker thread.
            should_stop: called before each thread; if it returns True, the run ends and its report has `stopped` set.

        Returns:
            What was copied, which threads were skipped, and which failed and why.

        Raises:
            InvalidConfig: both savers are on the same tables, or an argument has the wrong type or value.
            InvalidFilter: the filter has no meaning; the message names the key.
            ThreadExists: with `refuse`, a thread is at the target; nothing was copied.
            CheckpointCorrupt: with `objects`, the savers load something different.
            BlobUnavailable: a blob backend failed; run it again.
            DatabaseUnavailable: a database can't be reached; run it again.
        """
        choice = self._choice(threads, filter, since, newest)
        options = TransferOptions(choice=choice, on_conflict=on_conflict, mirror=mirror, verify=verify)
        return drive(self._copy_to(other, options, blobs, TransferCallbacks(progress, should_stop)))

    async def acopy_to(
        self,
        other: SaverBase,
        *,
        threads: Sequence[Any] | None = None,
        filter: dict[str, Any] | None = None,
        since: datetime | None = None,
        newest: int | None = None,
        on_conflict: OnConflict = "skip",
        mirror: bool = False,
        blobs: BlobMode | None = None,
        verify: Verify = "digests",
        progress: Callable[[TransferReport, int], None] = ignore_progress,
        should_stop: Callable[[], bool] = never_stop,
    ) -> TransferReport:
        """See `copy_to`."""
        choice = self._choice(threads, filter, since, newest)
        options = TransferOptions(choice=choice, on_conflict=on_conflict, mirror=mirror, verify=verify)
        return await drive_async(self._copy_to(other, options, blobs, TransferCallbacks(progress, should_stop)))

    def _choice(self, threads: Sequence[Any] | None, wanted: dict[str, Any] | None, since: datetime | None, newest: int | None) -> Choice:
        if since is not None and not isinstance(since, datetime):
            raise InvalidConfig(f"since must be a datetime, got {brief(since)}")
        if newest is not None and (isinstance(newest, bool) or not isinstance(newest, int) or newest < 1):
            raise InvalidConfig(f"newest must be a whole number of at least 1, got {brief(newest)}")
        ids = None if threads is None else [thread_id_of(each) for each in require_ids(threads, "threads")]
        if ids is not None and wanted is not None:
            raise InvalidConfig("give either threads or a filter")
        found = None if wanted is None else self._parse_filter(wanted)
        return Choice(ids, found, None if since is None else to_microseconds(since), newest)

    def _copy_to(
        self, other: SaverBase, options: TransferOptions, blobs: BlobMode | None, callbacks: TransferCallbacks
    ) -> Steps[TransferReport]:
        # Loaded at its first use, like all that copies threads: most processes never do.
        from ckptstore.transfer.copying import copy_store

        if not isinstance(other, SaverBase):
            raise InvalidConfig(f"the target must be a SQLAlchemySaver, got {brief(other)}")
        require_functions(**callbacks._asdict())
        copied = yield from copy_store(self.store, other.store, options, blobs, LANGGRAPH, other._now, callbacks)
        if options.verify == "objects":
            mine, theirs = loading(self.store, self._reading_serde), loading(other.store, other._reading_serde)
            compared = yield from compare_checkpoints(mine, theirs, other._reading_serde, copied.sample)
            copied.report.compared_checkpoints = compared
        return copied.report
