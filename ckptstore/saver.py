"""LangGraph's saver: its interface and its configs. What a checkpoint becomes is the codec's, where it goes the store's."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

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

from ckptstore.codec import config_of, decode_checkpoint, decode_history, encode_checkpoint, encode_writes
from ckptstore.config import DatabaseSettings, parse_database_url
from ckptstore.configs import key_of, place_of, search_of, several, thread_id_of
from ckptstore.database import adopt_engine, open_database
from ckptstore.errors import InvalidConfig
from ckptstore.listing import Listing
from ckptstore.models import to_microseconds
from ckptstore.names import checked
from ckptstore.reads import Search
from ckptstore.records import CheckpointKey, LoadedCheckpoint, Removed
from ckptstore.retention import keep_newest, keep_nothing
from ckptstore.store import Steps, Store, drive, drive_async
from ckptstore.tags import Filter, postings

logger = logging.getLogger(__name__)

_PAGE_SIZE = 100
_PRUNE_RULES = {"keep_latest": keep_newest, "delete": keep_nothing}


def utc_now() -> datetime:
    """The application's clock."""
    return datetime.now(UTC)


class SetupHandle:
    """A set-up that is under way or done: `await` it, or call `result()`."""

    def __init__(self, future: Future[None]) -> None:
        self._future = future

    def result(self) -> None:
        """Wait until the schema is there; raises what went wrong."""
        self._future.result()

    def __await__(self) -> Generator[Any, None, None]:
        """The same, in an event loop."""
        return drive_async(_wait(self._future)).__await__()


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
        schema: the PostgreSQL schema that holds the tables.
        serde: the serialiser of values; LangGraph's own by default.
        settings: pool, durability and retry bounds.
        clock: gives the time of each write, an aware `datetime`.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        schema: str | None = None,
        serde: SerializerProtocol | None = None,
        settings: DatabaseSettings | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        settings = settings or DatabaseSettings()
        database = adopt_engine(engine, settings)
        self._begin(Store(database, settings, schema=schema, upgrade=database.dialect.name == "sqlite"), serde, clock)

    def _begin(self, store: Store, serde: SerializerProtocol | None, clock: Callable[[], datetime]) -> None:
        super().__init__(serde=serde)
        self.store = store
        self.clock = clock

    @classmethod
    def from_conn_string(
        cls,
        conn_string: str | os.PathLike[str],
        *,
        blob_url: str | None = None,
        schema: str | None = None,
        serde: SerializerProtocol | None = None,
        settings: DatabaseSettings | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> Self:
        """A saver on a database of its own. It connects at first use.

        Args:
            conn_string: a file path, `:memory:`, `sqlite://`, `sqlite+aiosqlite://`, `postgresql://`, `postgres://`,
                `postgresql+asyncpg://` or `postgresql+psycopg://`.
            blob_url: where large values go; this release keeps them in the database, and says so in the log.
            schema: as for the class, and so are the others.
            serde: see the class.
            settings: see the class.
            clock: see the class.

        Raises:
            InvalidUrl: the scheme is unknown, or the URL can't be read; or `schema` was given for SQLite.
            MissingDriver: no driver for this database is installed.
        """
        url = parse_database_url(conn_string)
        settings = settings or DatabaseSettings()
        on_sqlite = url.get_backend_name() == "sqlite"
        if schema and on_sqlite:
            raise InvalidConfig("SQLite has no schemas; give each tenant a file of its own")
        if blob_url is not None:
            logger.warning("blob_url is not used yet: large values stay in the database", extra={"event": "blob_url_unused"})
        saver = cls.__new__(cls)
        saver._begin(Store(open_database(url, settings), settings, schema=schema, upgrade=on_sqlite), serde, clock)
        return saver

    # --- life

    def setup(self) -> SetupHandle:
        """Bring the database's schema to this release's: `await saver.setup()`, or `saver.setup()` in plain code.

        Raises:
            SchemaTooNew: the database was upgraded by a newer release.
            DatabaseUnavailable: it can't be reached.
        """
        handle = SetupHandle(self.store.set_up())
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            handle.result()
        return handle

    def close(self) -> None:
        """Write what was accepted and close all connections. Blocks; a second call does nothing."""
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

    def put(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> RunnableConfig:
        """Store a checkpoint; returns when it is durable. One with the same id is replaced.

        Raises:
            InvalidConfig: the config names no thread.
            SerializationFailed: a channel's value, or the metadata, can't be serialised; nothing was written.
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
        while True:
            missing = yield from self.store.write(
                thread_id,
                lambda: encode_checkpoint(self.serde, config, key, parent_id, created_at, checkpoint, metadata, stored_now),
            )
            if missing is None:
                return config_of(key)
            # The caller says they are unchanged, but no earlier checkpoint stored them.
            stored_now.update(missing.channels)

    def put_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        """Store a task's writes to a checkpoint; returns when they are durable.

        Raises:
            InvalidConfig: the config names no checkpoint.
            SerializationFailed: a value can't be serialised; none of the writes was stored.
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
        yield from self.store.write(key.thread_id, lambda: encode_writes(self.serde, key, writes, task_id, task_path, created_at))

    # --- get and list

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that a config names, or the newest of its namespace; None if there is none.

        Raises:
            InvalidConfig: the config names no thread.
            SerializationFailed: the serialiser can't read what was stored.
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
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, newest first: of one thread, or of all where the config is None, empty or without a thread.

        Args:
            config: a thread, and optionally a namespace (else all of them) and a checkpoint id.
            filter: metadata that must match, see `ckptstore.tags.Filter.parse`; several keys are an AND.
            before: only checkpoints with smaller ids than this config's.
            limit: at most so many.

        Raises:
            InvalidFilter: the filter has no meaning; the message names the key.
            InvalidConfig: the config, `before` or `limit` has the wrong type.
            DatabaseUnavailable: the database can't be reached.
        """
        return iter(self.alist(config, filter=filter, before=before, limit=limit))

    def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Listing[CheckpointTuple]:
        """As `list`: `async for` streams it a page at a time, `await` gives a list."""
        wanted = Filter.parse(filter)
        search = search_of(config, before, wanted)
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
            raise InvalidConfig(f"limit must be a whole number of at least 0, or None, got {limit!r}")
        return Listing(lambda: self._pages(search, wanted, limit))

    def _pages(self, search: Search, wanted: Filter, limit: int | None) -> Iterator[Steps[ListOfTuples]]:
        left = limit
        last: list_[LoadedCheckpoint] = []
        more = left != 0

        def page() -> Steps[ListOfTuples]:
            nonlocal left, more, last
            # A filter that the index can't decide alone looks through whole pages, however few are wanted.
            size = _PAGE_SIZE if left is None or not wanted.indexed else min(left, _PAGE_SIZE)
            last = yield from self.store.page(search, last[-1].key if last else None, size)
            more = len(last) == size
            matching = [loaded for loaded in last if not wanted.wanted or wanted.matches(json.loads(loaded.metadata))]
            if left is not None:
                matching = matching[:left]
                left -= len(matching)
                more = more and left > 0
            return [self._decoded(loaded) for loaded in matching]

        while more:
            yield page()

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

    def _delete_for_runs(self, run_ids: Sequence[str]) -> Steps[Removed]:
        wanted = [posting for run_id in several(run_ids, "run_ids") for posting in postings({"run_id": str(run_id)})]
        return (yield from self.store.delete_with_postings(wanted))

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

    def _prune(self, thread_ids: Sequence[str], strategy: str) -> Steps[Removed]:
        rule = _PRUNE_RULES.get(strategy)
        if rule is None:
            raise InvalidConfig(f"unknown prune strategy {strategy!r}; known are {', '.join(_PRUNE_RULES)}")
        ids = [thread_id_of(thread_id) for thread_id in several(thread_ids, "thread_ids")]
        return (yield from self.store.prune(ids, rule))

    def prune_older_than(self, age: timedelta) -> Removed:
        """Delete the checkpoints older than an age, and writes whose checkpoint never came, of all threads.

        Ancestors stay that a remaining checkpoint is read from. An age of zero means: older than now.
        """
        return drive(self.store.prune_older_than(self._now() - age // timedelta(microseconds=1)))

    async def aprune_older_than(self, age: timedelta) -> Removed:
        """As `prune_older_than`."""
        return await drive_async(self.store.prune_older_than(self._now() - age // timedelta(microseconds=1)))

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
        return f"{counter + 1:0{width}}.{random.getrandbits(48):012x}"


_COUNTER_WIDTH = 10
# Within the class, `list` is a method.
list_ = list
ListOfTuples = list[CheckpointTuple]
