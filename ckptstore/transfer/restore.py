"""Restoring a backup into an empty store, on either database."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.blobs.settings import BlobSettings
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.stored_settings import read_setting
from ckptstore.errors import BlobCorrupt, InvalidConfig
from ckptstore.maintenance.reports import VerifyReport
from ckptstore.records import StateFormat
from ckptstore.runtime.steps import Steps
from ckptstore.runtime.worker_threads import run_in_thread
from ckptstore.store.hints import has_threads
from ckptstore.store.store import Store
from ckptstore.transfer.backup import BackupReport, store_on
from ckptstore.transfer.backup_location import DESCRIPTION, FOLDER, BackupLocation
from ckptstore.transfer.copying import copy_store
from ckptstore.transfer.objects import ObjectTransfer
from ckptstore.transfer.options import TransferCallbacks, TransferOptions
from ckptstore.transfer.pg_dump_rows import make_sqlite_file
from ckptstore.transfer.pg_tools import FOLDER_VARIABLE, PgTools, find_tools
from ckptstore.transfer.report import TransferReport
from ckptstore.values.digests import hash_file

T = TypeVar("T")

_SETTING = "restoring"
_LARGEST_DESCRIPTION = 64 * 1024 * 1024


@dataclass(slots=True)
class RestoreReport:
    """What was restored, and what a verification of all of it found."""

    backup: BackupReport
    transfer: TransferReport
    verified: VerifyReport

    @property
    def ok(self) -> bool:
        """Whether everything is there and whole."""
        return self.transfer.ok and self.verified.ok


def restore(
    source: str,
    name: str | None,
    target: Store,
    state_format: StateFormat,
    clock: Callable[[], int],
    callbacks: TransferCallbacks,
    *,
    pg_folder: str | None = None,
) -> Steps[RestoreReport]:
    """Restore a backup.

    Args:
        source: the folder or blob URL of the backups.
        name: of the backup; None for the newest.
        target: an empty store, or one into which a restore of the same backup was interrupted.
        state_format: what the checkpoints mean.
        clock: gives microseconds since 1970, UTC.
        callbacks: called while it runs.
        pg_folder: the folder of pg_restore, for a dump; by default where the shell finds it.

    Raises:
        InvalidConfig: there is no such backup, the target has threads, or pg_restore is not installed or can't read the dump.
        BlobCorrupt: the copy of the database was altered.
    """
    backup: BackupReport = yield target.objects.run(_with_backend(source, partial(find_backup, name=name)))
    if not (yield from target.read(partial(_may_restore, name=backup.name))):
        raise InvalidConfig("a backup is restored into an empty store, and the target has threads")
    tools = _tools(backup, pg_folder)
    yield from target.run_in_queue(partial(_begin, name=backup.name))
    with tempfile.TemporaryDirectory(prefix="ckptstore-restore-") as folder:
        file, dump = Path(folder) / "database.sqlite", Path(folder) / "dump"
        yield target.objects.run(_with_backend(source, partial(_fetch, backup=backup, file=file if tools is None else dump)))
        if tools is not None:
            yield run_in_thread(partial(make_sqlite_file, tools, dump, file), "ckptstore-restore")
        copy = store_on(file, source, state_format)
        try:
            options = TransferOptions(on_conflict="continue")
            copied = yield from copy_store(copy, target, options, "copy", state_format, clock, callbacks)
            yield target.objects.run(ObjectTransfer(copy.objects, target.objects, "copy").bring_unreferenced(clock()))
        finally:
            copy.close()
    verified = yield from target.verify(deep=True)
    if copied.report.ok and not copied.report.stopped:
        yield from target.run_in_queue(_end)
    return RestoreReport(backup, copied.report, verified)


def _tools(backup: BackupReport, pg_folder: str | None) -> PgTools | None:
    if backup.format != "pg_dump":
        return None
    tools = find_tools(pg_folder)
    if tools is None:
        raise InvalidConfig(
            f"backup {backup.name} is a dump of pg_dump, and pg_restore is not {f'in {pg_folder}' if pg_folder else 'installed'}: install "
            f"PostgreSQL's client programs, or name their folder (--pg-bin, or ${FOLDER_VARIABLE})"
        )
    return tools


async def _with_backend(source: str, work: Callable[[BlobBackend], Coroutine[Any, Any, T]]) -> T:
    backend = open_backend(source, BlobSettings())
    try:
        return await work(backend)
    finally:
        await backend.close()


async def find_backup(backend: BlobBackend, name: str | None) -> BackupReport:
    """The description of a backup, or of the newest one.

    Raises:
        InvalidConfig: there is none.
    """
    names = await BackupLocation(backend).names()
    if not names or (name is not None and name not in names):
        raise InvalidConfig(f"{backend.url} has {'no backup' if not names else f'no backup {name!r}; it has ' + ', '.join(names[-5:])}")
    parsed = json.loads(await backend.get(f"{FOLDER}{name or names[-1]}{DESCRIPTION}", _LARGEST_DESCRIPTION))
    known = {each.name for each in fields(BackupReport)}
    return BackupReport(**{key: value for key, value in parsed.items() if key in known})


async def _fetch(backend: BlobBackend, backup: BackupReport, file: Path) -> None:
    await backend.get_file(backup.database, file, backup.database_bytes)
    digest, _ = await asyncio.to_thread(hash_file, file)
    if digest != backup.database_digest:
        raise BlobCorrupt(f"{backup.database} at {backend.url} was truncated or altered; restore another backup")


def _may_restore(db: Db, name: str) -> bool:
    return not has_threads(db) or read_setting(db, _SETTING, lambda stored: stored["backup"]) == name


def _begin(db: Db, name: str) -> None:
    db.run(sql.settings_table.set_setting, {"name": _SETTING, "value": json.dumps({"backup": name})}, "replace")


def _end(db: Db) -> None:
    db.run(sql.settings_table.delete_setting, {"name": _SETTING})
