"""Backups: a copy of the database (a SQLite file, or a dump of pg_dump), then the blobs that it refers to, in a folder or a bucket.

Database first: an object that its copy names is there as long as the collector is held off. Blobs are stored once for all backups in
the same location. What describes a backup is stored last: one that ended midway is none.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.blobs.location import normalised
from ckptstore.blobs.settings import BlobSettings
from ckptstore.db.connection import Db
from ckptstore.db.open import open_database
from ckptstore.db.schema import HEAD
from ckptstore.db.secrets import masked
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import parse_database_url
from ckptstore.errors import BlobCorrupt, BlobMissing, CheckpointCorrupt, InvalidConfig
from ckptstore.maintenance.hold import HOLD_MICROSECONDS, Hold, hold_collector, release_collector
from ckptstore.records import StateFormat
from ckptstore.runtime.steps import Steps
from ckptstore.runtime.worker_threads import run_in_thread
from ckptstore.store.store import Store
from ckptstore.transfer.backup_contents import BackedUpObject, BackupContents, contents_of_dump, contents_of_file
from ckptstore.transfer.backup_location import DESCRIPTION, FOLDER, BackupLocation, backup_time
from ckptstore.transfer.copying import copy_store
from ckptstore.transfer.objects import ObjectTransfer
from ckptstore.transfer.options import TransferCallbacks, TransferOptions
from ckptstore.transfer.own_source import thread_totals
from ckptstore.transfer.pg_tools import PgTools, dump_tables, server_of, tools_for
from ckptstore.values.digests import hash_file

_PARALLEL = 8
_THREAD = "ckptstore-backup"
Progress = Callable[[int], None]
Format = Literal["sqlite", "pg_dump"]
_SUFFIXES: dict[Format, str] = {"sqlite": "sqlite", "pg_dump": "dump"}


@dataclass(slots=True)
class BackupReport:
    """A backup; stored with it as JSON."""

    #: Its name: when it began, and a random part.
    name: str
    #: The database that was backed up, without secrets.
    source: str
    #: Revision of the schema of its copy.
    revision: str = HEAD
    threads: int = 0
    checkpoints: int = 0
    #: What the copy of the database is: a SQLite file, or a dump in pg_dump's custom format.
    format: Format = "sqlite"
    #: Why it is a SQLite file although the database is PostgreSQL.
    remark: str = ""
    #: Key, size and SHA-256 of it.
    database: str = ""
    database_bytes: int = 0
    database_digest: str = ""
    #: Blobs that the copy refers to or registers and that are not in it, and their bytes.
    objects: int = 0
    object_bytes: int = 0
    #: How many of them were copied now; the others were there from an earlier backup.
    copied: int = 0
    copied_bytes: int = 0
    #: Blobs in the location that no backup needs any more, and those that were deleted now (`prune`).
    unneeded: int = 0
    unneeded_bytes: int = 0
    pruned: int = 0
    pruned_bytes: int = 0
    #: Keys of blobs that are not there any more, or damaged.
    failed: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The key of this description."""
        return f"{FOLDER}{self.name}{DESCRIPTION}"


def back_up(
    source: Store,
    to: str,
    state_format: StateFormat,
    clock: Callable[[], int],
    progress: Progress = lambda _total: None,
    *,
    wanted: Format | None = None,
    pg_folder: str | None = None,
    prune: bool = False,
) -> Steps[BackupReport]:
    """Back a store up, while others write.

    Args:
        source: the store.
        to: a folder or a blob URL.
        state_format: what the checkpoints mean.
        clock: gives microseconds since 1970, UTC.
        progress: called after each blob with how many there are.
        wanted: how the database is stored; by default as a dump if it is PostgreSQL and pg_dump can dump it, else as a SQLite file.
        pg_folder: the folder of pg_dump and pg_restore; by default where the shell finds them.
        prune: delete blobs that no backup needs, and that an earlier run has noted a day ago.

    Raises:
        InvalidConfig: a dump is wanted, and can't be made; or the location is that of the store's own blobs.
        BlobUnavailable: a backend failed; run it again.
        OSError: there is no room for the copy of the database.
    """
    now = clock()
    _refuse_blobs_of(source, to)
    report = BackupReport(f"{backup_time(now)}-{secrets.token_hex(4)}", masked(source.runner.url))
    yield from source.read(thread_totals)
    dumping = yield from _dumping(source, wanted, pg_folder, report)
    yield source.runner.write(partial(hold_collector, hold=Hold(now + HOLD_MICROSECONDS, report.name)))
    try:
        with tempfile.TemporaryDirectory(prefix="ckptstore-backup-") as folder:
            file = Path(folder) / "database"
            if dumping is None:
                yield from _copy_database(source, file, state_format, clock)
                found: BackupContents = yield run_in_thread(partial(contents_of_file, file), _THREAD)
            else:
                yield run_in_thread(partial(dump_tables, dumping.tools, source.runner.url, dumping.schema, file), _THREAD)
                found = yield run_in_thread(partial(contents_of_dump, dumping.tools, file), _THREAD)
            yield source.objects.run(_Files(source, file, found, to, report, progress).store(now, prune=prune))
    finally:
        yield source.runner.write(partial(release_collector, by=report.name))
    return report


def _refuse_blobs_of(source: Store, to: str) -> None:
    """Refuse the location of the store's own blobs: there, each would be taken for a blob of a backup, and be pruned."""
    blobs = source.objects.location.url
    location = normalised(open_backend(to, BlobSettings()).url).partition("?")[0]
    if blobs is not None and f"{location}/".startswith(f"{blobs.partition('?')[0]}/"):
        raise InvalidConfig(f"the blobs of this store are at {blobs}: back it up to another location")


class _Dumping(NamedTuple):
    tools: PgTools
    schema: str


def _dumping(source: Store, wanted: Format | None, pg_folder: str | None, report: BackupReport) -> Steps[_Dumping | None]:
    """How the database is dumped; None if it is copied into a SQLite file."""
    if source.runner.statements.on_sqlite:
        if wanted == "pg_dump":
            raise InvalidConfig("pg_dump dumps PostgreSQL only; a SQLite database is copied as it is")
        return None
    if wanted == "sqlite":
        return None
    server = yield from source.read(server_of)
    try:
        tools: PgTools = yield run_in_thread(partial(tools_for, server, pg_folder), _THREAD)
    except InvalidConfig as exc:
        if wanted is not None or pg_folder is not None:
            raise
        report.remark = str(exc)
        return None
    report.format = "pg_dump"
    return _Dumping(tools, server.schema)


def _copy_database(source: Store, file: Path, state_format: StateFormat, clock: Callable[[], int]) -> Steps[None]:
    if source.runner.statements.on_sqlite:
        yield source.runner.read(partial(_vacuum_into, file=file))
        return
    copy = store_on(file, source.objects.location.url, state_format)
    try:
        callbacks = TransferCallbacks()
        copied = yield from copy_store(source, copy, TransferOptions(), None, state_format, clock, callbacks)
        yield copy.objects.run(ObjectTransfer(source.objects, copy.objects, None).bring_unreferenced(clock()))
    finally:
        copy.close()
    if copied.report.failed_threads:
        thread_id, reason = next(iter(copied.report.failed_threads.items()))
        raise CheckpointCorrupt(f"{len(copied.report.failed_threads)} threads can't be backed up, for example {thread_id!r}: {reason}")


def _vacuum_into(db: Db, file: Path) -> None:
    # In one snapshot, while others write.
    db.execute("VACUUM INTO ?", (str(file),))


def store_on(file: Path, blobs: str | None, state_format: StateFormat) -> Store:
    """A store on a SQLite file, which is created, or upgraded."""
    settings = DatabaseSettings()
    runner = open_database(parse_database_url(file), settings)
    return Store(runner, settings, blobs=blobs, blob_settings=BlobSettings(), upgrade=True, tag_keys=None, state_format=state_format)


class _Files:
    """Stores the files of one backup, on the loop of the source's registry."""

    def __init__(self, source: Store, file: Path, contents: BackupContents, to: str, report: BackupReport, progress: Progress) -> None:
        self._source, self._file, self._contents, self._to = source, file, contents, to
        self._report, self._progress = report, progress

    async def store(self, now: int, *, prune: bool) -> None:
        target = open_backend(self._to, BlobSettings())
        location = BackupLocation(target)
        try:
            report, contents = self._report, self._contents
            report.threads, report.checkpoints = contents.threads, contents.checkpoints
            report.objects, report.object_bytes = len(contents.objects), sum(each.size for each in contents.objects)
            await location.store_keys(report.name, [each.key for each in contents.objects])
            await self._store_objects(target, contents.objects, self._progress)
            report.database = f"{FOLDER}{report.name}.{_SUFFIXES[report.format]}"
            report.database_digest, report.database_bytes = await asyncio.to_thread(hash_file, self._file)
            await target.put_file(report.database, self._file)
            # A prune that had begun before may have deleted what no other backup needed.
            safe = await location.safe_keys()
            await self._store_objects(target, [each for each in contents.objects if each.key not in safe], lambda _total: None)
            await target.put(report.key, json.dumps(asdict(report)).encode())
            found = await location.review(now, prune=prune)
            report.unneeded, report.unneeded_bytes = len(found.since), found.bytes
            report.pruned, report.pruned_bytes = found.deleted, found.deleted_bytes
        finally:
            await target.close()

    async def _store_objects(self, target: BlobBackend, objects: Sequence[BackedUpObject], progress: Progress) -> None:
        remaining = iter([each for each in objects if each.key not in self._report.failed])
        await asyncio.gather(*[self._store_all(remaining, target, len(objects), progress) for _ in range(_PARALLEL)])

    async def _store_all(self, remaining: Iterator[BackedUpObject], target: BlobBackend, total: int, progress: Progress) -> None:
        for key, digest, size in remaining:
            if await target.size(key) != size:
                await self._store_one(target, key, digest, size)
            progress(total)

    async def _store_one(self, target: BlobBackend, key: str, digest: str, size: int) -> None:
        with tempfile.TemporaryDirectory(prefix="ckptstore-backup-") as folder:
            path = Path(folder) / "object"
            try:
                await self._source.objects.copy_to(key, path, size)
            except (BlobMissing, BlobCorrupt):
                self._report.failed.append(key)
                return
            found, _ = await asyncio.to_thread(hash_file, path)
            if found != digest:
                self._report.failed.append(key)
                return
            await target.put_file(key, path)
        self._report.copied += 1
        self._report.copied_bytes += size
