"""Backups: a consistent copy of the database as a SQLite file, then the blobs that it refers to, in a folder or a bucket.

Database first: an object that its copy names is there as long as the collector is held off. Blobs are stored once for all backups in
the same place. What describes a backup is stored last: one that ended midway is none.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.blobs.settings import BlobSettings
from ckptstore.db.connection import Db
from ckptstore.db.open import open_database
from ckptstore.db.schema import HEAD
from ckptstore.db.secrets import masked
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.times import from_microseconds
from ckptstore.db.url import parse_database_url
from ckptstore.errors import BlobCorrupt, BlobMissing, CheckpointCorrupt, DatabaseCorrupt
from ckptstore.maintenance.hold import HOLD_MICROSECONDS, Hold, hold_collector, release_collector
from ckptstore.records import StateFormat
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store
from ckptstore.transfer.copying import copy_store
from ckptstore.transfer.objects import ObjectTransfer
from ckptstore.transfer.options import TransferCallbacks, TransferOptions
from ckptstore.transfer.own_source import thread_totals
from ckptstore.values.digests import hash_file

#: Keys of a backup's files begin with this; those of blobs have two digits here.
FOLDER = "backup/"
_PARALLEL = 8
Progress = Callable[[int], None]


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
    #: Key, size and SHA-256 of the copy of the database.
    database: str = ""
    database_bytes: int = 0
    database_digest: str = ""
    #: Blobs that the copy refers to or registers and that are not in it, and their bytes.
    objects: int = 0
    object_bytes: int = 0
    #: How many of them were copied now; the others were there from an earlier backup.
    copied: int = 0
    copied_bytes: int = 0
    #: Keys of blobs that are not there any more, or damaged.
    failed: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The key of this description."""
        return f"{FOLDER}{self.name}.json"


def back_up(
    source: Store, to: str, state_format: StateFormat, clock: Callable[[], int], progress: Progress = lambda _total: None
) -> Steps[BackupReport]:
    """Back a store up, while others write.

    Args:
        source: the store.
        to: a folder or a blob URL.
        state_format: what the checkpoints mean.
        clock: gives microseconds since 1970, UTC.
        progress: called after each blob with how many there are.

    Raises:
        BlobUnavailable: a backend failed; run it again.
        OSError: there is no room for the copy of the database.
    """
    now = clock()
    report = BackupReport(f"{from_microseconds(now):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}", masked(source.runner.url))
    yield from source.read(thread_totals)
    yield source.runner.write(partial(hold_collector, hold=Hold(now + HOLD_MICROSECONDS, report.name)))
    try:
        with tempfile.TemporaryDirectory(prefix="ckptstore-backup-") as folder:
            file = Path(folder) / "database.sqlite"
            yield from _copy_database(source, file, state_format, clock)
            yield source.objects.run(_Files(source, file, to, report, progress).store())
    finally:
        yield source.runner.write(partial(release_collector, by=report.name))
    return report


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

    def __init__(self, source: Store, file: Path, to: str, report: BackupReport, progress: Progress) -> None:
        self._source, self._file, self._to = source, file, to
        self._report, self._progress = report, progress

    async def store(self) -> None:
        target = open_backend(self._to, BlobSettings())
        try:
            await self._store_objects(target)
            report = self._report
            report.database = f"{FOLDER}{report.name}.sqlite"
            report.database_digest, report.database_bytes = await asyncio.to_thread(hash_file, self._file)
            (report.threads, report.checkpoints) = await asyncio.to_thread(_totals, self._file)
            await target.put_file(report.database, self._file)
            await target.put(report.key, json.dumps(asdict(report)).encode())
        finally:
            await target.close()

    async def _store_objects(self, target: BlobBackend) -> None:
        objects = await asyncio.to_thread(_registered, self._file)
        self._report.objects = len(objects)
        self._report.object_bytes = sum(size for _, _, size in objects)
        remaining = iter(objects)
        await asyncio.gather(*[self._store_all(remaining, target, len(objects)) for _ in range(_PARALLEL)])

    async def _store_all(self, remaining: Iterator[tuple[str, str, int]], target: BlobBackend, total: int) -> None:
        for key, digest, size in remaining:
            if await target.size(key) != size:
                await self._store_one(target, key, digest, size)
            self._progress(total)

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


_OBJECTS = """
SELECT key, digest, size FROM ckpt_object AS object
WHERE (state = 'live' OR (state = 'marked' AND EXISTS (SELECT * FROM ckpt_segment WHERE object_key = object.key)))
    AND key NOT LIKE 'database/%'
ORDER BY key
"""


def _registered(file: Path) -> Sequence[tuple[str, str, int]]:
    """Key, digest and size of the blobs that a copy of a database has; without those that the collector may be about to delete."""
    return _rows(file, _OBJECTS, (str, str, int))


def _totals(file: Path) -> tuple[int, int]:
    """How many threads and checkpoints a copy of a database has."""
    totals: tuple[int, int]
    (totals,) = _rows(file, "SELECT count(*), coalesce(sum(checkpoint_count), 0) FROM ckpt_thread", (int, int))
    return totals


def _rows(file: Path, query: str, types: tuple[type, ...]) -> list[Any]:
    try:
        with closing(sqlite3.connect(file)) as connection:
            rows = connection.execute(query).fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as exc:
        raise DatabaseCorrupt(
            f"the copy of the database can't be read ({type(exc).__name__}); find out more with averify(deep=True)"
        ) from exc
    if any(tuple(map(type, row)) != types for row in rows):
        raise DatabaseCorrupt("a row of the database was altered: a cell has another type than its column; find it with averify(deep=True)")
    return rows
