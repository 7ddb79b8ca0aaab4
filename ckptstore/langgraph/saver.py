"""`SQLAlchemySaver`: how it is constructed, closed and written to.

`reading.py`, `deleting.py`, `upkeep.py`, `import_from.py` and `monitored.py` have its other methods. Each operation is a pair: `put` and
`aput`.
"""

from __future__ import annotations

import asyncio
import copy
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from sqlalchemy import URL

from ckptstore.db.layout import Layout
from ckptstore.db.settings import DEFAULT_SETTINGS
from ckptstore.errors import InvalidConfig, brief
from ckptstore.langgraph.base import utc_now
from ckptstore.langgraph.config import MAX_ID_BYTES
from ckptstore.langgraph.database import OwnDatabase, open_runner, parse_conn_string, store_kind
from ckptstore.langgraph.decode import config_of
from ckptstore.langgraph.deleting import Deleting
from ckptstore.langgraph.encode import CheckpointPut, TaskWritesPut
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.langgraph.import_from import Importing
from ckptstore.langgraph.metadata import MetadataEncoder
from ckptstore.langgraph.monitored import Monitored
from ckptstore.langgraph.one_writer import one_writer_of
from ckptstore.langgraph.options import SaverOptions, blob_settings_of, blob_url_of, check_kinds, check_names
from ckptstore.langgraph.reading import Reading
from ckptstore.langgraph.replica import open_replica
from ckptstore.langgraph.serialise import allow_handles
from ckptstore.langgraph.size_advice import advise
from ckptstore.langgraph.trust import strict_serialiser
from ckptstore.langgraph.upkeep import Upkeep
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.monitoring.monitor import Monitor
from ckptstore.runtime.future import Future
from ckptstore.runtime.random_ids import random_text
from ckptstore.runtime.steps import Outcome, Steps, drive, drive_async
from ckptstore.store.files import BlobStore
from ckptstore.tags.keys import EVERYTHING
from ckptstore.values.size_limits import DEFAULT_LIMITS, SizeChecker, SizeLimits

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from ckptstore.store.background import BackgroundRetention


def _wait(future: Future[None]) -> Steps[None]:
    yield future


class SQLAlchemySaver(Reading, Deleting, Upkeep, Importing, Monitored):
    """A LangGraph checkpointer on SQLite or PostgreSQL: synchronous and asynchronous methods in one class.

    It can be constructed anywhere and used from several worker threads and event loops at the same time, also from synchronous code
    that runs inside an event loop. A put returns when it is durable. Use it with `with` or `async with`, or call `close`.

    Metadata is stored as plain text, also with an encrypting serialiser, because searches use it. Texts of a config's `configurable`
    that look like credentials are left out of it, see `TagKeys`.

    Args:
        engine: an asynchronous engine that the caller owns. The saver opens a pool of its own, because connections belong to the
            event loop that opened them: of the engine's class, with its settings, listeners and log. SQLite in memory shares its
            connection. A SQLite file is read two to four times faster through `from_conn_string`.
        **options: see `SaverOptions`.

    Raises:
        InvalidEngine: `engine` is not an `AsyncEngine`; the message names what to write instead.
        InvalidConfig: `schema` or `read_url` was given for SQLite.
        InvalidPolicy: `retention` is not a policy, or `retention_interval` is not positive.
        InvalidUrl: `blob_url` or `moved_to` can't be used.
        MissingDriver: the package for the scheme of `blob_url` is not installed.
    """

    #: Files that a graph stores explicitly and refers to by handle.
    blobs: BlobStore

    def __init__(self, engine: AsyncEngine | OwnDatabase, **options: Unpack[SaverOptions]) -> None:
        check_names(options)
        check_kinds(options)
        settings = options.get("settings") or DEFAULT_SETTINGS
        monitor = Monitor(options.get("monitoring"))
        serde = strict_serialiser(options.get("serde")) if options.get("strict", False) else options.get("serde")
        runner = open_runner(engine, settings, options.get("schema"), monitor)
        self._allow_plain = options.get("allow_plain", False)
        self._reuse = options.get("reuse", True)
        self.clock = options.get("clock", utc_now)
        self.tag_keys = options.get("tag_keys", EVERYTHING)
        self.store = store_kind(options.get("moved_to"), options.get("blob_url"), settings)(
            runner,
            settings,
            blobs=blob_url_of(options, runner.url),
            blob_settings=blob_settings_of(options),
            upgrade=runner.statements.on_sqlite,
            tag_keys=self.tag_keys,
            state_format=LANGGRAPH,
            replica=open_replica(options, runner, settings),
        )
        self._one_writer = one_writer_of(options, self.store.leases)
        self._limit(options.get("limits", DEFAULT_LIMITS), "max_checkpoint_bytes of SizeLimits")
        super().__init__(serde=serde)
        self.serde = allow_handles(self)
        self._retention = self._start_retention(options.get("retention"), options.get("retention_interval", timedelta(days=1)))

    def _limit(self, limits: SizeLimits, remedy: str) -> None:
        self.limits = limits
        self._metadata = MetadataEncoder(self.tag_keys, limits)
        self._limiter = SizeChecker(limits, leaf_room=self.store.objects.leaf_room, remedy=remedy, advise=advise)
        self.blobs = BlobStore(self.store, self.clock, self._limiter)

    def _start_retention(self, policy: RetentionPolicy | Mapping[str, Any] | None, interval: timedelta) -> BackgroundRetention | None:
        if policy is None:
            return None
        from ckptstore.store.background import start_retention

        return start_retention(self.store, policy, interval, self._now)

    def with_limits(self, limits: SizeLimits, *, remedy: str = "max_checkpoint_bytes of SizeLimits") -> Self:
        """A copy of this saver with other limits, on the same connections: close only one of the two.

        Args:
            limits: the limits of the copy.
            remedy: the setting that a user can change, for the message of `CheckpointTooLarge`.

        Raises:
            InvalidConfig: `limits` is something else.
        """
        check_kinds({"limits": limits})
        other = copy.copy(self)
        other._limit(limits, remedy)
        # Its encoder has the limits.
        other.serde = self.serde
        return other

    @classmethod
    def from_conn_string(cls, conn_string: str | os.PathLike[str] | URL, **options: Unpack[SaverOptions]) -> Self:
        """A saver on a database that it opens itself, at first use.

        It calls the constructor, also a subclass's, with an `OwnDatabase` in place of the engine, and with all options.

        The schemes are `sqlite://`, `sqlite+aiosqlite://`, `postgresql://`, `postgres://`, `postgresql+asyncpg://` and
        `postgresql+psycopg://`. Use `:memory:` for a SQLite database in memory.

        Args:
            conn_string: a file path or a URL, as text or as an object of SQLAlchemy's.
            **options: see `SaverOptions`.

        Raises:
            InvalidEngine: `conn_string` is an engine, a connection or None.
            InvalidUrl: the scheme is unknown, or the URL can't be read.
            InvalidConfig: `schema` was given for SQLite.
            MissingDriver: no driver for this database is installed.
        """
        return cls(parse_conn_string(conn_string, options.get("settings")), **options)

    # --- set up and close

    def setup(self, *, partitions: int | None = None, shards: int | None = None, one_node: bool = False) -> Outcome[None]:
        """Upgrade the schema of the database to this release's: `await saver.setup()`, or `saver.setup()` without an event loop.

        Without an event loop it returns when the upgrade is done, and its result need not be used.

        Args:
            partitions: on PostgreSQL, split every per-thread table into so many partitions, by a hash of the thread id. Tables with rows
                are converted under a lock that keeps everybody else out meanwhile. None leaves the tables as they are.
            shards: on a Citus cluster, distribute the tables over its nodes: every per-thread table into so many shards, by the thread id.
                Tables with rows are copied under a lock that keeps writers out meanwhile. None leaves the tables as they are.
            one_node: on a Citus cluster, have all tables of the `schema` on one node, which Citus chooses: for a schema for each tenant.

        Raises:
            InvalidConfig: `partitions` or `shards` is no such number, or the tables can't be laid out so.
            SchemaTooNew: the database was upgraded by a newer release.
            DatabaseUnavailable: the database can't be reached.
        """
        future = self.store.set_up(Layout(partitions, shards, one_node))
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            future.result()
            return Outcome(_wait(future), name=None)
        return Outcome(_wait(future), name="setup")

    def close(self) -> None:
        """Finish the writes that were accepted and close all connections. Blocks; a second call does nothing.

        After `close_seconds` (see `DatabaseSettings`) it returns in any case, and writes that were not stored fail with `StoreClosed`.
        """
        self.store.close(None if self._retention is None else self._retention.close)

    async def aclose(self) -> None:
        """See `close`; does not block the event loop."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        """The saver itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        """Call `close`."""
        self.close()

    async def __aenter__(self) -> Self:
        """The saver itself."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        """Call `aclose`."""
        await self.aclose()

    # --- put

    def put(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> RunnableConfig:
        """Store a checkpoint; returns when it is durable. A checkpoint with the same id is replaced.

        Raises:
            InvalidConfig: the config has no thread id.
            SerializationFailed: a channel's value, or the metadata, can't be serialised; nothing was written.
            CheckpointTooLarge: the checkpoint exceeds a limit; nothing was written.
            BlobUnavailable: a large value can't be uploaded; nothing was written.
            DatabaseUnavailable: the database can't be reached; nothing was acknowledged.
        """
        put = CheckpointPut(self.encoder, config, checkpoint, metadata, new_versions, self._now())
        if self.store.leases.in_use and not self._under_lease(config, put):
            drive(self._write_alone(put))
        else:
            self.store.write_here(put)
        return config_of(put.at.key)

    async def aput(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> RunnableConfig:
        """See `put`."""
        put = CheckpointPut(self.encoder, config, checkpoint, metadata, new_versions, self._now())
        may_write = not self.store.leases.in_use or self._under_lease(config, put)
        await drive_async(self.store.write(put) if may_write else self._write_alone(put))
        return config_of(put.at.key)

    def put_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        """Store a task's writes to a checkpoint; returns when they are durable.

        Raises:
            InvalidConfig: the config has no thread id or no checkpoint id.
            SerializationFailed: a value can't be serialised; none of the writes was stored.
            CheckpointTooLarge: together they exceed a limit; none of them was stored.
            BlobUnavailable: a large value can't be uploaded; none of the writes was stored.
            DatabaseUnavailable: the database can't be reached; nothing was acknowledged.
        """
        if not writes:
            return
        put = TaskWritesPut(self.encoder, config, writes, task_id, task_path, self._now())
        if self.store.leases.in_use and not self._under_lease(config, put):
            drive(self._write_alone(put))
        else:
            self.store.write_here(put)

    async def aput_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        """See `put_writes`."""
        if not writes:
            return
        put = TaskWritesPut(self.encoder, config, writes, task_id, task_path, self._now())
        may_write = not self.store.leases.in_use or self._under_lease(config, put)
        await drive_async(self.store.write(put) if may_write else self._write_alone(put))

    # --- versions

    def get_next_version(self, current: str | int | None, channel: None) -> str:
        """The version after `current`: a zero-padded counter, which sorts as text, and a random part, so that sibling forks differ.

        The counter keeps the width of `current`, so that versions of a thread from another saver continue to sort.

        Raises:
            InvalidConfig: `current` does not begin with a counter.
        """
        counter, width = 0, _COUNTER_WIDTH
        if isinstance(current, int):
            counter = current
        elif current is not None:
            digits = current.partition(".")[0] if isinstance(current, str) else ""
            if not (digits.isascii() and digits.isdecimal() and len(digits) <= MAX_ID_BYTES):
                raise InvalidConfig(f"a channel's version must begin with a counter, got {brief(current)}")
            counter, width = int(digits), len(digits)
        return f"{counter + 1:0{width}}.{random_text(_RANDOM_BYTES)}"


# Short, because every checkpoint stores about a dozen versions.
_COUNTER_WIDTH = 8
_RANDOM_BYTES = 6
