"""Reading: `get_tuple`, `list`, `list_threads` and `get_delta_channel_history`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, get_args

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple, DeltaChannelHistory

from ckptstore.errors import InvalidConfig, brief
from ckptstore.langgraph.config import check_channels, ids_of, keys_of, require_ids, require_limit, search_of
from ckptstore.langgraph.decode import decode_checkpoint, decode_history
from ckptstore.langgraph.holding import Holding
from ckptstore.reads.threads import ThreadOrder
from ckptstore.records import LoadedCheckpoint, ThreadInfo
from ckptstore.runtime.steps import Steps, drive, drive_async
from ckptstore.store.listing import CheckpointPages, Listing, ThreadPages, load_in_order

if TYPE_CHECKING:
    from ckptstore.db.models import Checkpoint


class Reading(Holding):
    """The part of the saver that reads."""

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that a config names, or the newest one of its namespace.

        Args:
            config: a thread id, and optionally a namespace (by default the root graph's) and a checkpoint id.

        Returns:
            The checkpoint with its pending writes; None if there is none.

        Raises:
            InvalidConfig: the config has no thread id.
            SerializationFailed: the serialiser can't read a stored value.
            CheckpointCorrupt: a row in the database was altered, or a value is missing.
            BlobMissing: a large value is not in the backend that `blob_url` names.
            BlobCorrupt: stored bytes have another digest.
            BlobUnavailable: the blob backend failed.
            DatabaseUnavailable: the database can't be reached.
            ThreadBusy: a graph run begins, `one_writer` is set, and another one holds the thread.
        """
        if self._one_writer is not None:
            drive(self._begin_run(self._one_writer, config))
        if self.store.monitor.tracing is not None:
            return drive(self._get_in_span(ids_of(config)))
        started, ids = perf_counter(), ids_of(config)
        if started >= self.store.monitor.due_at:
            self.store.monitor.tick(started)
        try:
            loaded = self.store.checkpoint_here(*ids)
            found = None if loaded is None else decode_checkpoint(self._reading_serde, loaded, self.get_next_version)
        except BaseException as exc:
            self.store.monitor.get.failed(started, exc)
            raise
        self.store.monitor.get.ended(started, ids)
        return found

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """See `get_tuple`."""
        if self._one_writer is not None:
            await drive_async(self._begin_run(self._one_writer, config))
        if self.store.monitor.tracing is not None:
            return await drive_async(self._get_in_span(ids_of(config)))
        started, ids = perf_counter(), ids_of(config)
        if started >= self.store.monitor.due_at:
            self.store.monitor.tick(started)
        try:
            loaded = await drive_async(self.store.checkpoint(*ids))
            found = None if loaded is None else decode_checkpoint(self._reading_serde, loaded, self.get_next_version)
        except BaseException as exc:
            self.store.monitor.get.failed(started, exc)
            raise
        self.store.monitor.get.ended(started, ids)
        return found

    def _get_in_span(self, ids: tuple[str, str, str | None]) -> Steps[CheckpointTuple | None]:
        with self.store.monitor.get.observed(ids):
            loaded = yield from self.store.checkpoint(*ids)
            return None if loaded is None else self._decode(loaded)

    def _decode(self, loaded: LoadedCheckpoint) -> CheckpointTuple:
        return decode_checkpoint(self._reading_serde, loaded, self.get_next_version)

    def load(self, rows: Iterable[Checkpoint]) -> Sequence[CheckpointTuple]:
        """The checkpoints of rows that the caller's own statement found, in the order of the rows.

        One round trip to the database reads all of them; large values come from the blob backend. Rows whose checkpoint was deleted
        or pruned in the meantime are left out.

        Args:
            rows: `ckptstore.models.Checkpoint` objects, as `session.scalars(select(Checkpoint))` gives them. Their session may have
                ended; it must be one on this saver's database.

        Raises:
            InvalidConfig: `rows` has something else than `Checkpoint` objects.
            SerializationFailed: the serialiser can't read a stored value.
            CheckpointCorrupt: a row in the database was altered, or a value is missing.
            BlobMissing: a large value is not in the backend that `blob_url` names.
            BlobCorrupt: stored bytes have another digest.
            BlobUnavailable: the blob backend failed.
            DatabaseUnavailable: the database can't be reached.
        """
        return drive(load_in_order(self.store, keys_of(rows), self._decode))

    async def aload(self, rows: Iterable[Checkpoint]) -> Sequence[CheckpointTuple]:
        """See `load`."""
        return await drive_async(load_in_order(self.store, keys_of(rows), self._decode))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, newest first: of one thread, or of all threads if the config is None, empty or without a thread id.

        Args:
            config: a thread id, and optionally a namespace (by default all of them) and a checkpoint id.
            filter: a metadata filter, see `ckptstore.tags.filters`; several keys are an AND.
            before: only checkpoints with smaller ids than this config's.
            limit: the largest number of checkpoints; None for no limit.
            created_after: only checkpoints created at or after this time of the saver's clock; a naive `datetime` counts as UTC.
            created_before: only checkpoints created before this time.

        Raises:
            InvalidFilter: the filter has no meaning; the message names the key.
            KeyNotIndexed: the filter asks for a key that `tag_keys` keeps out of the index.
            InvalidConfig: the config, `before` or `limit` has the wrong type.
            DatabaseUnavailable: the database can't be reached.
        """
        wanted = self.alist(config, filter=filter, before=before, limit=limit, created_after=created_after, created_before=created_before)
        return iter(wanted)

    def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Listing[CheckpointTuple]:
        """See `list`: `async for` loads the listing page by page, `await` gives a list."""
        search = search_of(config, before, self._parse_filter(filter), created_after, created_before)
        limit = require_limit(limit)
        return Listing(lambda: iter(CheckpointPages(self.store, search, limit, self._decode)))

    def list_threads(
        self,
        *,
        filter: dict[str, Any] | None = None,
        order_by: ThreadOrder = "updated_at",
        limit: int | None = None,
        after: ThreadInfo | None = None,
    ) -> Iterator[ThreadInfo]:
        """Threads with their times, number of checkpoints and size in bytes. No checkpoint is loaded.

        Args:
            filter: a metadata filter, as for `list`: at least one checkpoint of the thread must match.
            order_by: `updated_at` for the most recently active first, or `thread_id`.
            limit: the largest number of threads; None for no limit.
            after: the last thread of the page before, in the same order.

        Raises:
            InvalidFilter: the filter has no meaning; the message names the key.
            KeyNotIndexed: the filter asks for a key that `tag_keys` keeps out of the index.
            InvalidConfig: another argument has the wrong type or value.
            DatabaseUnavailable: the database can't be reached.
        """
        return iter(self.alist_threads(filter=filter, order_by=order_by, limit=limit, after=after))

    def alist_threads(
        self,
        *,
        filter: dict[str, Any] | None = None,
        order_by: ThreadOrder = "updated_at",
        limit: int | None = None,
        after: ThreadInfo | None = None,
    ) -> Listing[ThreadInfo]:
        """See `list_threads`: `async for` loads the listing page by page, `await` gives a list."""
        wanted, limit = self._parse_filter(filter), require_limit(limit)
        if order_by not in get_args(ThreadOrder):
            raise InvalidConfig(f"threads are ordered by {' or '.join(get_args(ThreadOrder))}, not by {brief(order_by)}")
        if after is not None and not isinstance(after, ThreadInfo):
            raise InvalidConfig(f"after must be a ThreadInfo, the last one of a listing, got {type(after).__name__}")
        return Listing(lambda: iter(ThreadPages(self.store, wanted, order_by, limit, after)))

    def get_delta_channel_history(self, *, config: RunnableConfig, channels: Sequence[str]) -> Mapping[str, DeltaChannelHistory]:
        """For each channel, the writes at a checkpoint's ancestors, back to the nearest stored value, which is the `seed`.

        Args:
            config: names the checkpoint; without a checkpoint id, the newest one of the namespace.
            channels: names of `DeltaChannel`s.

        Raises:
            InvalidConfig: the config has no thread id.
            DatabaseUnavailable: the database can't be reached.
        """
        return drive(self._delta_history(config, channels))

    async def aget_delta_channel_history(self, *, config: RunnableConfig, channels: Sequence[str]) -> Mapping[str, DeltaChannelHistory]:
        """See `get_delta_channel_history`."""
        return await drive_async(self._delta_history(config, channels))

    def _delta_history(self, config: RunnableConfig, channels: Sequence[str]) -> Steps[Mapping[str, DeltaChannelHistory]]:
        if not channels:
            return {}
        check_channels(require_ids(channels, "channels"))
        histories = yield from self.store.history(*ids_of(config), channels)
        return {channel: decode_history(self._reading_serde, history, channel) for channel, history in histories.items()}
