"""Whether a store can be used as its savers would use it: each answer is a sentence, and each problem has a way out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ckptstore.blobs.backends.local import is_local
from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.db import schema, sql
from ckptstore.db.cluster import read_cluster
from ckptstore.db.connection import Db
from ckptstore.db.runner import Runner
from ckptstore.db.secrets import masked
from ckptstore.db.url import is_memory, why_unwritable
from ckptstore.errors import CkptStoreError, SchemaOutOfDate, SchemaTooNew, UpgradeUnderWay
from ckptstore.inspection.cluster_checks import problems, summary, why_unreachable
from ckptstore.maintenance.reindex import stored_keys
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store
from ckptstore.tags.keys import EVERYTHING, TagKeys
from ckptstore.values.digests import new_object_key

_MAX_CLOCK_DIFFERENCE = 5_000_000
# How far a writer's clock may be ahead of this one: activity is noted once a second, and networks take time.
_MAX_FUTURE = 60_000_000
_PROBE = b"written by ckptstore check"

Clock = Callable[[], int]


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    #: Nothing fails now, and something should be looked at.
    WARNING = "warning"
    FAILED = "failed"


class Finding(NamedTuple):
    """The result of one check."""

    name: str
    status: Status
    message: str
    #: What to do; empty if there is nothing to do, or the message says it.
    way_out: str = ""


def check_database(runner: Runner) -> list[Finding]:
    """Whether the database answers, and has the schema that this release needs. Without both nothing else can be checked."""
    try:
        runner.write(schema.require_head).result()
    except (SchemaOutOfDate, SchemaTooNew, UpgradeUnderWay) as exc:
        return [Finding("schema", Status.FAILED, str(exc))]
    except CkptStoreError as exc:
        return [Finding("database", Status.FAILED, str(exc))]
    return [
        Finding("database", Status.OK, f"{masked(runner.url)} answers"),
        Finding("schema", Status.OK, f"it has revision {schema.HEAD}, which this release needs"),
    ]


def check_cluster(runner: Runner) -> list[Finding]:
    """Whether the nodes of a cluster answer, and have the shards that they should; nothing where the tables are not distributed."""
    cluster = runner.read(read_cluster).result()
    if cluster is None:
        return []
    unreachable = why_unreachable(cluster)
    if unreachable is not None:
        return [Finding("cluster", Status.FAILED, unreachable, "start the node, or see its log")]
    found = [Finding("cluster", Status.WARNING, message, way_out) for message, way_out in problems(cluster)]
    return found or [Finding("cluster", Status.OK, summary(cluster))]


def check_store(store: Store, tag_keys: TagKeys | None, clock: Clock, *, write_blob: bool) -> Steps[list[Finding]]:
    """Check everything else.

    Args:
        store: of a database that `check_database` found nothing wrong with.
        tag_keys: those of the store's savers; None if they are not known.
        clock: the current time in microseconds since 1970, UTC.
        write_blob: also write a small object, and delete it.
    """
    found = [(yield from _run(store, partial(_check_tag_keys, tag_keys=tag_keys), "tag keys"))]
    found.append((yield from _run(store, partial(_check_permissions, store=store), "permissions")))
    found.append((yield from _check_blobs(store, write_blob=write_blob)))
    found += yield from store.read(partial(_check_clock, clock=clock))
    return found


def _run(store: Store, work: Callable[[Db], Finding], name: str) -> Steps[Finding]:
    try:
        return (yield from store.read(work))
    except CkptStoreError as exc:
        return Finding(name, Status.FAILED, str(exc))


def _check_tag_keys(db: Db, tag_keys: TagKeys | None) -> Finding:
    stored = stored_keys(db) or EVERYTHING
    of_index = f"the index has {_patterns(stored)}"
    if tag_keys is None:
        return Finding("tag keys", Status.OK, f"{of_index}; savers must have the same tag_keys, see --include and --exclude")
    if (sorted(tag_keys.include), sorted(tag_keys.exclude)) == (sorted(stored.include), sorted(stored.exclude)):
        return Finding("tag keys", Status.OK, f"{of_index}, as given")
    way_out = "use the same tag_keys, or stop all writers and run: ckptstore tags rebuild"
    return Finding("tag keys", Status.FAILED, f"{of_index}, and given are {_patterns(tag_keys)}: such savers refuse to start", way_out)


def _patterns(keys: TagKeys) -> str:
    included = "all keys" if tuple(keys.include) == ("*",) else f"the keys {', '.join(keys.include)}"
    return f"{included}, without {', '.join(keys.exclude)}" if keys.exclude else included


# --- permissions


def _check_permissions(db: Db, store: Store) -> Finding:
    problems = list(_problems_of_file(store) if db.on_sqlite else _problems_of_server(db))
    if problems:
        return Finding("permissions", Status.FAILED, "; ".join(problems), "grant what is missing to the user of the connection")
    what = "the file can be written" if db.on_sqlite else "the user may read and write every table"
    return Finding("permissions", Status.OK, what)


def _problems_of_file(store: Store) -> Iterator[str]:
    url = store.runner.url
    if is_memory(url):
        return
    reason = why_unwritable(url)
    if reason is not None:
        yield reason
    folder = Path(os.path.abspath(str(url.database))).parent
    if not os.access(folder, os.W_OK):
        yield f"the folder {folder} is not writable, and SQLite writes its log there"


def _problems_of_server(db: Db) -> Iterator[str]:
    in_recovery, read_only = db.run(sql.checks.server_state).found[0]
    if in_recovery:
        yield "the server is a standby, which takes no writes"
    elif read_only:
        yield "transactions are read-only (default_transaction_read_only)"
    missing: dict[str, list[str]] = {}
    for table, privilege in db.run(sql.checks.missing_privileges, {"schema": db.statements.schema}):
        missing.setdefault(table, []).append(privilege)
    yield from (f"the user may not {', '.join(privileges)} in {table}" for table, privileges in missing.items())


# --- blobs


def _check_blobs(store: Store, *, write_blob: bool) -> Steps[Finding]:
    objects = store.objects
    location = objects.location
    try:
        yield store.runner.read(location.look_up)
        if location.is_elsewhere:
            return Finding("blobs", Status.FAILED, location.explanation)
        if not objects.has_backend:
            registered = yield from store.read(lambda db: bool(db.run(sql.objects.any_object).all()))
            if registered:
                return Finding("blobs", Status.FAILED, "the database has blobs, and no --blob-url was given", "give the URL where they are")
            return Finding("blobs", Status.OK, "large values are kept in the database: there is no blob URL")
        keys: list[str] = yield from store.read(lambda db: [key for (key,) in db.run(sql.objects.newest_objects)])
        finding: Finding = yield objects.run(_check_backend(objects.backend, keys, write_blob=write_blob))
        return finding
    except CkptStoreError as exc:
        return Finding("blobs", Status.FAILED, str(exc))


async def _check_backend(backend: BlobBackend, keys: list[str], *, write_blob: bool) -> Finding:
    probe = new_object_key("0" * 64)
    if write_blob:
        await backend.put(probe, _PROBE)
        await backend.delete(probe)
        written = "an object was written and deleted"
    else:
        # Also where there are no keys: that the backend answers is worth knowing.
        await backend.size(probe)
        written = _writable_folder(backend)
    missing = [key for key in keys if await backend.size(key) is None]
    if keys and len(missing) == len(keys):
        message = f"none of the newest {len(keys)} blobs of the database is at {backend.url}"
        return Finding("blobs", Status.FAILED, message, "pass the URL where they are (--blob-url), or restore them")
    if missing:
        message = f"{len(missing)} of the newest {len(keys)} blobs are missing at {backend.url}, the first one {missing[0]}"
        return Finding("blobs", Status.FAILED, message, "restore them; see which: ckptstore blobs verify")
    if written.endswith("not writable"):
        return Finding("blobs", Status.FAILED, f"{backend.url} can be read; {written}", "let the user of this process write there")
    there = f"{backend.url} answers" + (f" and has the newest {len(keys)} blobs of the database" if keys else "; the database has none yet")
    return Finding("blobs", Status.OK, f"{there}; {written}")


def _writable_folder(backend: BlobBackend) -> str:
    if not is_local(backend):
        return "whether objects can be written was not tried (--write-blob)"
    folder = Path(backend.url.removeprefix("file://"))
    while not folder.exists():
        folder = folder.parent
    return f"the folder {folder} is {'' if os.access(folder, os.W_OK) else 'not '}writable"


# --- clocks


def _check_clock(db: Db, clock: Clock) -> list[Finding]:
    return list(_clock_findings(db, clock))


def _clock_findings(db: Db, clock: Clock) -> Iterator[Finding]:
    if not db.on_sqlite:
        before = clock()
        server = db.run(sql.checks.server_time).scalar_one()
        after = clock()
        difference = (server - (before + after) // 2) / 1_000_000
        far = abs(server - (before + after) // 2) > _MAX_CLOCK_DIFFERENCE + (after - before) // 2
        message = f"the server's clock is {abs(difference):.1f} s {'ahead of' if difference > 0 else 'behind'} this machine's"
        way_out = "synchronise the clocks: ages and retention go by those of the writers" if far else ""
        yield Finding("clock", Status.WARNING if far else Status.OK, message, way_out)
    newest = db.run(sql.checks.newest_activity).scalar_one()
    if newest is not None and newest - clock() > _MAX_FUTURE:
        ahead = (newest - clock()) / 1_000_000
        message = f"something was stored {ahead:.0f} s from now, by the clock of its writer"
        yield Finding("clock of writers", Status.WARNING, message, "synchronise the clocks of the machines that write")
    elif db.on_sqlite:
        yield Finding("clock", Status.OK, "nothing was stored in the future")
