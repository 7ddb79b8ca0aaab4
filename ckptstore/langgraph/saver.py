"""LangGraph's saver: its interface and its configs. What a checkpoint becomes is the codec's, where it goes the store's."""

from __future__ import annotations

import asyncio
import copy
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self, get_args

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from sqlalchemy.ext.asyncio import AsyncEngine

from ckptstore.blobs.settings import BlobSettings
from ckptstore.db.models import to_microseconds
from ckptstore.db.open import adopt_engine, open_database
from ckptstore.db.runner import Runner
from ckptstore.db.settings import DatabaseSettings, default_blob_url, parse_database_url
from ckptstore.errors import InvalidConfig
from ckptstore.langgraph.config import checked, key_of, limit_of, place_of, search_of, several, thread_id_of
from ckptstore.langgraph.decode import config_of, decode_checkpoint, decode_history
from ckptstore.langgraph.encode import Encoder, NewCheckpointKey
from ckptstore.langgraph.serialise import allow_handles
from ckptstore.maintenance.gc import CollectReport, Pass
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.maintenance.prune_plan import keep_newest, keep_nothing
from ckptstore.maintenance.prune_run import Watch, never, unheard
from ckptstore.maintenance.verify import VerifyReport
from ckptstore.reads.threads import OrderOfThreads
from ckptstore.records import CheckpointKey, LoadedCheckpoint, NewCheckpoint, Posting, PruneReport, ThreadInfo, VacuumReport
from ckptstore.runtime.random_ids import random_text
from ckptstore.runtime.steps import Outcome, Steps, drive, drive_async
from ckptstore.store.background import Schedule
from ckptstore.store.files import BlobStore
from ckptstore.store.listing import CheckpointPages, Listing, ThreadPages
from ckptstore.store.store import Store
from ckptstore.tags.filters import Filter
from ckptstore.tags.keys import EVERYTHING, TagKeys
from ckptstore.values.size_limits import DEFAULT_LIMITS, Limiter, Place, SizeLimits

_PRUNE_RULES = {"keep_latest": keep_newest, "delete": keep_nothing}


def utc_now() -> datetime:
    """The application's clock."""
    return datetime.now(UTC)


def _wait(future: Future[None]) -> Steps[None]:
    yield future


class SQLAlchemySaver(BaseCheckpointSaver[str]):
    """A LangGraph checkpointer on any database that ckptstore supports: synchronous and asynchronous in one class.

    It can be built anywhere, and used from several threads and event loops at once, also from synchronous code beneath a
    running loop. Nothing is acknowledged before it is durable. Use it with `with`, with `async with`, or call `close`.

    Metadata is kept as plain text even under an encrypting serialiser, since it is what searches go by; what arrives
    through `configurable` under a name that looks like a credential is left out of it.

    Args:
        engine: an engine that the caller owns. A SQLite file is opened anew by its URL; a server gets a pool of our own
            with the engine's settings, because connections belong to the loop that opened them.
        blob_url: where values of 64 KiB and more go: a folder, `file://`, `s3://bucket/prefix`, `memory://`, or any URL that
            fsspec knows. By default a folder beside the SQLite file; for PostgreSQL and memory, the database itself.
        blob_options: handed to the file system as they are, beside what the URL says.
        blob_settings: parallelism, retries and caches of the blobs.
        schema: the PostgreSQL schema that holds the tables.
        serde: the serialiser of values; LangGraph's own by default.
        settings: pool, durability and retry bounds.
        clock: gives the time of each write, an aware `datetime`.
        tag_keys: which keys of metadata can be searched by: all of them by default.
        limits: how large a checkpoint, a task's writes and a blob may be: 10 MiB for the first two by default.
        retention: what stays, when old checkpoints are to go by themselves: a policy, or the dict of one. They go on a thread of
            this process, in one of all the processes on a database at a time. Failures are logged, and tried again.
        retention_interval: from one such run to the next, over all processes.

    Raises:
        InvalidPolicy: `retention` is no policy, or `retention_interval` is not positive.
        InvalidUrl: `blob_url` can't be used.
        MissingDriver: the package for its scheme is not installed.
    """

    #: Files that a graph keeps by handle.
    blobs: BlobStore

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        blob_url: str | os.PathLike[str] | None = None,
        blob_options: Mapping[str, Any] | None = None,
        blob_settings: BlobSettings | None = None,
        schema: str | None = None,
        serde: SerializerProtocol | None = None,
        settings: DatabaseSettings | None = None,
        clock: Callable[[], datetime] = utc_now,
        tag_keys: TagKeys = EVERYTHING,
        limits: SizeLimits = DEFAULT_LIMITS,
        retention: RetentionPolicy | Mapping[str, Any] | None = None,
        retention_interval: timedelta = timedelta(days=1),
    ) -> None:
        settings = settings or DatabaseSettings()
        runner = adopt_engine(engine, settings, schema)
        blobs = _with_options(blob_settings, blob_options)
        self._begin(runner, settings, blob_url, blobs, serde, clock, tag_keys, limits)
        self._prune_by_itself(retention, retention_interval)

    def _begin(
        self,
        runner: Runner,
        settings: DatabaseSettings,
        blob_url: str | os.PathLike[str] | None,
        blob_settings: BlobSettings,
        serde: SerializerProtocol | None,
        clock: Callable[[], datetime],
        tag_keys: TagKeys,
        limits: SizeLimits,
    ) -> None:
        blobs = default_blob_url(runner.url) if blob_url is None else os.fspath(blob_url)
        on_sqlite = runner.statements.on_sqlite
        super().__init__(serde=serde)
        self.serde = allow_handles(self)
        self.store = Store(runner, settings, blobs=blobs, blob_settings=blob_settings, upgrade=on_sqlite, tag_keys=tag_keys)
        self.clock = clock
        self.tag_keys = tag_keys
        self._limit(limits, "max_checkpoint_bytes of SizeLimits")
        self._schedule: Schedule | None = None

    def _limit(self, limits: SizeLimits, way_out: str) -> None:
        self.limits = limits
        self._limiter = Limiter(limits, leaves_apart=self.store.objects.has_backend, way_out=way_out)
        self.blobs = BlobStore(self.store, self.clock, self._limiter)

    def _prune_by_itself(self, policy: RetentionPolicy | Mapping[str, Any] | None, interval: timedelta) -> None:
        if isinstance(policy, Mapping):
            policy = RetentionPolicy.from_dict(policy)
        if policy is not None:
            self._schedule = Schedule(self.store, policy, interval, self._now)
            self._schedule.start()

    def with_limits(self, limits: SizeLimits, *, way_out: str = "max_checkpoint_bytes of SizeLimits") -> Self:
        """The same saver with other limits, on the same connections: close one of the two.

        Args:
            limits: how large things may be.
            way_out: what the user of it can change, for the message of what is refused.
        """
        other = copy.copy(self)
        other._limit(limits, way_out)
        return other

    @classmethod
    def from_conn_string(
        cls,
        conn_string: str | os.PathLike[str],
        *,
        blob_url: str | os.PathLike[str] | None = None,
        blob_options: Mapping[str, Any] | None = None,
        blob_settings: BlobSettings | None = None,
        schema: str | None = None,
        serde: SerializerProtocol | None = None,
        settings: DatabaseSettings | None = None,
        clock: Callable[[], datetime] = utc_now,
        tag_keys: TagKeys = EVERYTHING,
        limits: SizeLimits = DEFAULT_LIMITS,
        retention: RetentionPolicy | Mapping[str, Any] | None = None,
        retention_interval: timedelta = timedelta(days=1),
    ) -> Self:
        """A saver on a database of its own. It connects at first use.

        Args:
            conn_string: a file path, `:memory:`, `sqlite://`, `sqlite+aiosqlite://`, `postgresql://`, `postgres://`,
                `postgresql+asyncpg://` or `postgresql+psycopg://`.
            blob_url: as for the class, and so are the others.
            blob_options: see the class.
            blob_settings: see the class.
            schema: see the class.
            serde: see the class.
            settings: see the class.
            clock: see the class.
            tag_keys: see the class.
            limits: see the class.
            retention: see the class.
            retention_interval: see the class.

        Raises:
            InvalidUrl: the scheme is unknown, or the URL can't be read; or `schema` was given for SQLite.
            MissingDriver: no driver for this database is installed.
        """
        url = parse_database_url(conn_string)
        settings = settings or DatabaseSettings()
        if schema and url.get_backend_name() == "sqlite":
            raise InvalidConfig("SQLite has no schemas; give each tenant a file of its own")
        saver = cls.__new__(cls)
        blobs = _with_options(blob_settings, blob_options)
        saver._begin(open_database(url, settings, schema), settings, blob_url, blobs, serde, clock, tag_keys, limits)
        saver._prune_by_itself(retention, retention_interval)
        return saver

    # --- life

    def setup(self) -> Outcome[None]:
        """Bring the database's schema to this release's: `await saver.setup()`, or `saver.setup()` in plain code.

        Raises:
            SchemaTooNew: the database was upgraded by a newer release.
            DatabaseUnavailable: it can't be reached.
        """
        future = self.store.set_up()
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            future.result()
        return Outcome(_wait(future))

    def close(self) -> None:
        """Write what was accepted and close all connections. Blocks; a second call does nothing."""
        if self._schedule is not None:
            self._schedule.close()
        self.store.close()

    async def aclose(self) -> None:
        """As `close`, without blocking the event loop."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        """Use the saver; `close` at the end."""
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        """Close."""
        self.close()

    async def __aenter__(self) -> Self:
        """Use the saver; `aclose` at the end."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        """Close."""
        await self.aclose()

    def _now(self) -> int:
        return to_microseconds(self.clock())

    # --- put

    @property
    def encoder(self) -> Encoder:
        """Makes records of what is put."""
        # Made anew: LangGraph clones savers with other serialisers.
        return Encoder(self.serde, self.tag_keys, self._limiter)

    def put(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> RunnableConfig:
        """Store a checkpoint; returns when it is durable. One with the same id is replaced.

        Raises:
            InvalidConfig: the config names no thread.
            SerializationFailed: a channel's value, or the metadata, can't be serialised; nothing was written.
            CheckpointTooLarge: the checkpoint is past a limit; nothing was written.
            BlobUnavailable: a large value can't be uploaded; nothing was written.
            DatabaseUnavailable: the database can't be reached; nothing was acknowledged.
        """
        return drive(self._put(config, checkpoint, metadata, new_versions))

    async def aput(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> RunnableConfig:
        """As `put`."""
        return await drive_async(self._put(config, checkpoint, metadata, new_versions))

    def _put(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> Steps[RunnableConfig]:
        thread_id, checkpoint_ns, parent_id = place_of(config)
        key = CheckpointKey(thread_id, checkpoint_ns, checked(checkpoint.get("id"), "checkpoint id"))
        created_at = self._now()
        stored_now = set(new_versions)

        def encode(not_stored: Sequence[str]) -> NewCheckpoint:
            # The caller says that these are unchanged, but no earlier checkpoint stored them.
            stored_now.update(not_stored)
            return self.encoder.checkpoint(config, NewCheckpointKey(key, parent_id, created_at), checkpoint, metadata, stored_now)

        yield from self.store.write(thread_id, encode, self._limiter.last_size(Place(thread_id, checkpoint_ns), new_versions.keys()))
        return config_of(key)

    def put_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        """Store a task's writes to a checkpoint; returns when they are durable.

        Raises:
            InvalidConfig: the config names no checkpoint.
            SerializationFailed: a value can't be serialised; none of the writes was stored.
            CheckpointTooLarge: together they are past a limit; none of them was stored.
            BlobUnavailable: a large value can't be uploaded; none of the writes was stored.
            DatabaseUnavailable: the database can't be reached; nothing was acknowledged.
        """
        drive(self._put_writes(config, writes, task_id, task_path))

    async def aput_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        """As `put_writes`."""
        await drive_async(self._put_writes(config, writes, task_id, task_path))

    def _put_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str) -> Steps[None]:
        if not writes:
            return
        key = key_of(config)
        task_id, task_path = checked(task_id, "task id"), checked(task_path, "task path")
        created_at = self._now()
        yield from self.store.write(key.thread_id, lambda _: self.encoder.writes(key, writes, task_id, task_path, created_at))

    # --- get and list

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that a config names, or the newest of its namespace; None if there is none.

        Raises:
            InvalidConfig: the config names no thread.
            SerializationFailed: the serialiser can't read what was stored.
            BlobMissing: a large value is not where `blob_url` points.
            BlobCorrupt: bytes are not those that were stored.
            BlobUnavailable: the blob backend failed.
            DatabaseUnavailable: the database can't be reached.
        """
        return drive(self._get_tuple(config))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As `get_tuple`."""
        return await drive_async(self._get_tuple(config))

    def _get_tuple(self, config: RunnableConfig) -> Steps[CheckpointTuple | None]:
        thread_id, checkpoint_ns, checkpoint_id = place_of(config)
        if checkpoint_id is None:
            loaded = yield from self.store.newest(thread_id, checkpoint_ns)
        else:
            loaded = yield from self.store.exact(CheckpointKey(thread_id, checkpoint_ns, checkpoint_id))
        return None if loaded is None else self._decoded(loaded)

    def _decoded(self, loaded: LoadedCheckpoint) -> CheckpointTuple:
        return decode_checkpoint(self.serde, loaded, self.get_next_version)

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
        """Checkpoints, newest first: of one thread, or of all where the config is None, empty or without a thread.

        Args:
            config: a thread, and optionally a namespace (else all of them) and a checkpoint id.
            filter: metadata that must match, see `ckptstore.tags.filters`; several keys are an AND.
            before: only checkpoints with smaller ids than this config's.
            limit: at most so many.
            created_after: only checkpoints created from this moment on, by the saver's clock; a naive `datetime` counts as UTC.
            created_before: only checkpoints created before this moment.

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
        """As `list`: `async for` streams it a page at a time, `await` gives a list."""
        search = search_of(config, before, Filter.parse(filter, self.tag_keys), created_after, created_before)
        limit = limit_of(limit)
        return Listing(lambda: iter(CheckpointPages(self.store, search, limit, self._decoded)))

    def list_threads(
        self,
        *,
        filter: dict[str, Any] | None = None,
        order_by: OrderOfThreads = "updated_at",
        limit: int | None = None,
        after: ThreadInfo | None = None,
    ) -> Iterator[ThreadInfo]:
        """ThreadPages at a glance: id, times, number of checkpoints and bytes, without a look at what they hold.

        Args:
            filter: as for `list`: one checkpoint of the thread has to match.
            order_by: `updated_at`, the most recently active first, or `thread_id`.
            limit: at most so many.
            after: the last thread of the page before, in the same order.

        Raises:
            InvalidFilter: the filter has no meaning; the message names the key.
            KeyNotIndexed: the filter asks for a key that `tag_keys` keeps out of the index.
            InvalidConfig: another argument has no meaning.
            DatabaseUnavailable: the database can't be reached.
        """
        return iter(self.alist_threads(filter=filter, order_by=order_by, limit=limit, after=after))

    def alist_threads(
        self,
        *,
        filter: dict[str, Any] | None = None,
        order_by: OrderOfThreads = "updated_at",
        limit: int | None = None,
        after: ThreadInfo | None = None,
    ) -> Listing[ThreadInfo]:
        """As `list_threads`: `async for` streams them a page at a time, `await` gives a list."""
        wanted, limit = Filter.parse(filter, self.tag_keys), limit_of(limit)
        if order_by not in get_args(OrderOfThreads):
            raise InvalidConfig(f"threads are ordered by {' or '.join(get_args(OrderOfThreads))}, not by {order_by!r}")
        if after is not None and not isinstance(after, ThreadInfo):
            raise InvalidConfig(f"after must be a ThreadInfo, the last one of a listing, got {type(after).__name__}")
        return Listing(lambda: iter(ThreadPages(self.store, wanted, order_by, limit, after)))

    def get_delta_channel_history(self, *, config: RunnableConfig, channels: Sequence[str]) -> Mapping[str, DeltaChannelHistory]:
        """For each channel, its writes on the way to a checkpoint and the stored value that they start from.

        Raises:
            InvalidConfig: the config names no thread.
            DatabaseUnavailable: the database can't be reached.
        """
        return drive(self._delta_history(config, channels))

    async def aget_delta_channel_history(self, *, config: RunnableConfig, channels: Sequence[str]) -> Mapping[str, DeltaChannelHistory]:
        """As `get_delta_channel_history`."""
        return await drive_async(self._delta_history(config, channels))

    def _delta_history(self, config: RunnableConfig, channels: Sequence[str]) -> Steps[Mapping[str, DeltaChannelHistory]]:
        if not channels:
            return {}
        histories = yield from self.store.history(*place_of(config), channels)
        return {channel: decode_history(self.serde, history, channel) for channel, history in histories.items()}

    # --- delete, prune, copy

    def delete_thread(self, thread_id: str) -> None:
        """Delete all that a thread has."""
        drive(self.store.delete_thread(thread_id_of(thread_id)))

    async def adelete_thread(self, thread_id: str) -> None:
        """As `delete_thread`."""
        await drive_async(self.store.delete_thread(thread_id_of(thread_id)))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints of these runs, but for those that a remaining one is read from."""
        drive(self._delete_for_runs(run_ids))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """As `delete_for_runs`."""
        await drive_async(self._delete_for_runs(run_ids))

    def _delete_for_runs(self, run_ids: Sequence[str]) -> Steps[PruneReport]:
        runs = [str(run_id) for run_id in several(run_ids, "run_ids")]
        (wanted,) = Filter.parse({"run_id": {"$in": runs}}, self.tag_keys).required
        return (yield from self.store.delete_with_postings([Posting(wanted.key, value) for value in wanted.values]))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all that a thread has to another id; values are shared or copied inside the database."""
        drive(self.store.copy_thread(thread_id_of(source_thread_id), thread_id_of(target_thread_id)))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """As `copy_thread`."""
        await drive_async(self.store.copy_thread(thread_id_of(source_thread_id), thread_id_of(target_thread_id)))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Keep only the newest checkpoint of each namespace (`keep_latest`), or nothing (`delete`).

        With `keep_latest`, ancestors stay that the newest one is read from: a DeltaChannel's back to its last snapshot.

        Raises:
            InvalidConfig: the strategy is unknown, or `thread_ids` is a single string.
        """
        drive(self._prune(thread_ids, strategy))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """As `prune`."""
        await drive_async(self._prune(thread_ids, strategy))

    def _prune(self, thread_ids: Sequence[str], strategy: str) -> Steps[PruneReport]:
        rule = _PRUNE_RULES.get(strategy)
        if rule is None:
            raise InvalidConfig(f"unknown prune strategy {strategy!r}; known are {', '.join(_PRUNE_RULES)}")
        ids = [thread_id_of(thread_id) for thread_id in several(thread_ids, "thread_ids")]
        return (yield from self.store.prune(ids, rule))

    def prune_older_than(self, age: timedelta) -> PruneReport:
        """Delete the checkpoints older than an age, and writes whose checkpoint never came, of all threads.

        Ancestors stay that a remaining checkpoint is read from. An age of zero means: older than now.
        """
        return self.prune_by(RetentionPolicy(max_age=age))

    async def aprune_older_than(self, age: timedelta) -> PruneReport:
        """As `prune_older_than`."""
        return await self.aprune_by(RetentionPolicy(max_age=age))

    def prune_by(
        self,
        policy: RetentionPolicy,
        *,
        dry_run: bool = False,
        progress: Callable[[PruneReport], None] = unheard,
        should_stop: Callable[[], bool] = never,
    ) -> PruneReport:
        """Delete what a policy does not keep, in all threads, in small transactions: writers go on.

        It can be stopped at any time, also by cancelling `aprune_by` or by killing the process: after each transaction all that
        can still be found reads as it did, and the next run does the rest.

        Args:
            policy: what stays.
            dry_run: delete nothing, and report what would go: threads are pruned, and that is rolled back.
            progress: told what went so far, after each transaction.
            should_stop: asked before each transaction; at True the run ends, and its report says `stopped`.

        Raises:
            DatabaseUnavailable: the database can't be reached; what was done is done.
        """
        return drive(self.store.prune_by(policy, self._now(), Watch(progress, should_stop), dry_run=dry_run))

    async def aprune_by(
        self,
        policy: RetentionPolicy,
        *,
        dry_run: bool = False,
        progress: Callable[[PruneReport], None] = unheard,
        should_stop: Callable[[], bool] = never,
    ) -> PruneReport:
        """As `prune_by`."""
        return await drive_async(self.store.prune_by(policy, self._now(), Watch(progress, should_stop), dry_run=dry_run))

    # --- blobs

    def collect(self, *, dry_run: bool = False, grace: timedelta = timedelta(hours=24)) -> CollectReport:
        """Delete blobs that nothing refers to any more: one pass; run it now and then.

        A pass marks what nothing refers to and nobody used for a period of grace; a later one deletes what has been
        marked for as long, unless something refers to it again. Safe beside writers, in other processes too.

        Args:
            dry_run: only count what a pass would do.
            grace: longer than the longest upload, and than a graph takes from putting a blob to the checkpoint that holds its handle.

        Raises:
            InvalidConfig: the period of grace is negative.
            DatabaseUnavailable: the database can't be reached; what was begun is finished by the next pass.
        """
        return drive(self._collect(dry_run, grace))

    async def acollect(self, *, dry_run: bool = False, grace: timedelta = timedelta(hours=24)) -> CollectReport:
        """As `collect`."""
        return await drive_async(self._collect(dry_run, grace))

    def _collect(self, dry_run: bool, grace: timedelta) -> Steps[CollectReport]:
        if grace < timedelta(0):
            raise InvalidConfig(f"grace must not be negative, got {grace}")
        return self.store.collect(Pass(self._now(), grace // timedelta(microseconds=1), dry_run))

    def verify(self, *, deep: bool = False) -> VerifyReport:
        """Check that all segments and objects are there, and name what the backend holds beside them.

        Args:
            deep: read every object and segment and check its digest, not only its size.

        Raises:
            BlobUnavailable: the backend failed.
        """
        return drive(self.store.verify(deep=deep))

    async def averify(self, *, deep: bool = False) -> VerifyReport:
        """As `verify`."""
        return await drive_async(self.store.verify(deep=deep))

    # --- space

    def vacuum(self, *, full: bool = False) -> VacuumReport:
        """Give back what deletions have freed: to the file system on SQLite, to later writes on PostgreSQL.

        Args:
            full: rewrite everything at once, with everybody else locked out.

        Raises:
            InvalidConfig: a SQLite file that another tool made, and that needs `full` once.
        """
        return drive(self.store.vacuum(full=full))

    async def avacuum(self, *, full: bool = False) -> VacuumReport:
        """As `vacuum`."""
        return await drive_async(self.store.vacuum(full=full))

    # --- tags

    def rebuild_tags(self) -> int:
        """Make all tags anew, with this saver's `tag_keys`; returns how many there are. Nobody else should write meanwhile.

        Raises:
            DatabaseUnavailable: the database can't be reached; run it again, it starts over.
        """
        return drive(self.store.rebuild_tags())

    async def arebuild_tags(self) -> int:
        """As `rebuild_tags`."""
        return await drive_async(self.store.rebuild_tags())

    # --- versions

    def get_next_version(self, current: str | int | None, channel: None) -> str:
        """The version after `current`: a counter that sorts as text, and a random part so that sibling forks differ.

        The counter keeps the width that it has, so threads that came from another saver go on sorting.
        """
        counter, width = 0, _COUNTER_WIDTH
        if isinstance(current, int):
            counter = current
        elif current is not None:
            digits = current.partition(".")[0]
            counter, width = int(digits), len(digits)
        return f"{counter + 1:0{width}}.{random_text(_RANDOM_BYTES)}"


def _with_options(settings: BlobSettings | None, options: Mapping[str, Any] | None) -> BlobSettings:
    settings = settings or BlobSettings()
    return replace(settings, options={**settings.options, **options}) if options else settings


# A checkpoint holds a dozen versions: each character counts.
_COUNTER_WIDTH = 8
_RANDOM_BYTES = 6
