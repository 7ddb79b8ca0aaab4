"""Empty databases of each kind for tests."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Identifier
from sqlalchemy import inspect

from ckptstore.db.distribute import upgrade_and_distribute
from ckptstore.db.models import Base
from ckptstore.db.open import open_database
from ckptstore.db.schema import upgrade
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.tag_tables import ON_POSTGRESQL
from ckptstore.db.url import parse_database_url

DATABASES = ("memory", "sqlite", "asyncpg", "psycopg")
#: Names a database of a Citus cluster at its coordinator, as `postgresql://...`; Citus is in no registry of packages.
CITUS_URL_VARIABLE = "CKPTSTORE_CITUS_URL"
#: The number of shards where tests distribute the tables.
SHARDS = 8
#: For tests that need the cluster.
on_citus = pytest.mark.usefixtures("require_citus")
#: Marks a test of a way that a cluster never takes, which has its own with tests of its own.
on_one_server = pytest.mark.usefixtures("require_one_server")
#: The number of partitions where tests use partitioned tables.
PARTITIONS = 4


# What the servers and files of some workers need.
_ROOM_BYTES = 4 << 30


def memory_folder() -> Path | None:
    """A folder in memory for servers and files, or None: a disk costs the kernel more than twice as much, and TRUNCATE six times."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < _ROOM_BYTES:
        return None
    # Tests execute some of the files that they write, and a container may forbid it there.
    return None if os.statvfs(memory).f_flag & os.ST_NOEXEC else memory


def server_folder(prefix: str) -> Path:
    """A new folder for a server, in memory where there is room."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=memory_folder()))


def forgo_durability(url: str) -> None:
    """Turn off the durability of a PostgreSQL server of the tests, which is deleted after them, and keep its log short."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET max_wal_size = '256MB'")
        # Nor does anything but a test change what the planner knows.
        for name in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
            connection.execute(SQL("ALTER SYSTEM SET {} = off").format(Identifier(name)))
        connection.execute("SELECT pg_reload_conf()")


# By URL. A server takes six milliseconds of CPU to accept a connection and to read its catalogs for it.
_kept: dict[str, psycopg.Connection[TupleRow]] = {}


@contextmanager
def kept_connections() -> Iterator[None]:
    """Close the connections of `empty_tables` afterwards."""
    yield
    while _kept:
        _kept.popitem()[1].close()


def empty_tables(url: str) -> None:
    """Truncate those tables of a PostgreSQL database that have rows: truncating one costs more than looking into all of them."""
    try:
        _truncate(_kept.get(url) or _kept.setdefault(url, psycopg.connect(url, autocommit=True)))
    except psycopg.OperationalError:
        # A test has ended it, or the server was started again.
        _kept.pop(url).close()
        _truncate(_kept.setdefault(url, psycopg.connect(url, autocommit=True)))


def _truncate(connection: psycopg.Connection[TupleRow]) -> None:
    names = [*Base.metadata.tables, *ON_POSTGRESQL.tables]
    there = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename = ANY (%s)", [names])
    parts = [SQL("(SELECT {} FROM {} LIMIT 1)").format(name, Identifier(name)) for (name,) in there]
    used = [Identifier(name) for (name,) in connection.execute(SQL(" UNION ALL ").join(parts))]
    if used:
        connection.execute(SQL("TRUNCATE {}").format(SQL(", ").join(used)))


def url_of(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of one kind: of `DATABASES`, or a driver and `partitioned` or `texts` (of tags)."""
    if database == "memory":
        return ":memory:"
    if database == "sqlite":
        return str(shutil.copyfile(request.getfixturevalue("migrated_sqlite"), tmp_path / "checkpoints.sqlite"))
    driver, _, kind = database.partition(" ")
    url: str = request.getfixturevalue(f"{kind or 'postgres'}_url")
    empty_tables(url)
    return url.replace("postgresql://", f"postgresql+{driver}://", 1)


def distributed_url() -> str:
    """The database of a Citus cluster that the environment names, with its tables distributed."""
    url = os.environ.get(CITUS_URL_VARIABLE)
    if not url:
        raise pytest.UsageError(
            f"--citus needs {CITUS_URL_VARIABLE}=postgresql://USER@HOST:PORT/DATABASE, the coordinator of a Citus cluster"
        )
    database = open_database(parse_database_url(url), DatabaseSettings())
    try:
        database.write(partial(upgrade_and_distribute, shards=SHARDS)).result()
    finally:
        database.close()
    return url


def beside(server: str, name: str) -> str:
    """The URL of another database of the same server."""
    return re.sub(r"^([^:]+://[^/]*/)[^?]*", rf"\g<1>{name}", server)


def set_up_without_functions(url: str) -> None:
    """Set up a database as a role that may create no functions, so that tags stay rows of texts."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE without_functions LOGIN")
        connection.execute("REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
        connection.execute("GRANT CREATE ON SCHEMA public TO without_functions")
    database = open_database(parse_database_url(url.replace("postgresql://postgres", "postgresql://without_functions")), DatabaseSettings())
    try:
        database.write(upgrade).result()
    finally:
        database.close()


@contextmanager
def new_database(server: str, driver: str = "") -> Iterator[str]:
    """A database without tables on a PostgreSQL server, as the URL for a driver. On a cluster it is the coordinator's alone."""
    name = f"new_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} STRATEGY file_copy").format(Identifier(name)))
    yield beside(server, name).replace("postgresql:", f"postgresql+{driver}:" if driver else "postgresql:")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def table_names(url: str) -> set[str]:
    database = open_database(parse_database_url(url), DatabaseSettings())
    try:
        return set(database.write(lambda db: inspect(db.connection).get_table_names()).result())
    finally:
        database.close()
