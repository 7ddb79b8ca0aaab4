"""Schema revisions: which one a database has, which one this release needs, and upgrades and downgrades between them."""

from __future__ import annotations

import logging
import os
import shlex
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Executable, func, inspect, select, true
from sqlalchemy.schema import CreateSchema

from ckptstore.db import upgrade_lock
from ckptstore.db.abilities import function_queries
from ckptstore.db.autogenerate import what_is_compared
from ckptstore.db.capabilities import HAS_CITUS, PLAIN, Capabilities
from ckptstore.db.connection import Db
from ckptstore.db.distribution import capabilities_with_citus, shard_map_of
from ckptstore.db.migrations_folder import migrations_folder
from ckptstore.db.open import open_database
from ckptstore.db.runner import Work
from ckptstore.db.schema_events import log_changed, log_started
from ckptstore.db.schema_name import check_schema_name
from ckptstore.db.secrets import masked
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.sql.tables import NUMBERED_POSTING, THREAD
from ckptstore.db.sqlstates import sqlstate_of
from ckptstore.db.tables import VERSION_TABLE
from ckptstore.db.url import DATABASE_URL_VARIABLE, parse_database_url
from ckptstore.errors import InvalidConfig, InvalidUrl, SchemaOutOfDate, SchemaTooNew
from ckptstore.runtime.fork import in_child

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

#: Every revision, oldest first. Repeated here so that a saver can check its database without importing Alembic.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012", "0013")
HEAD = REVISIONS[-1]

# What a server says about a table that is not there, or whose schema is not.
_NO_TABLES = ("42P01", "3F000")

# Alembic keeps its context in module globals, so a process runs one command at a time.
_alembic_lock = threading.Lock()


def _reset_lock() -> None:
    global _alembic_lock  # noqa: PLW0603  # in a child of fork, a thread that does not exist there may hold the lock
    _alembic_lock = threading.Lock()


in_child(_reset_lock)


def current_revision(db: Db) -> str | None:
    """The revision of a database, or None if it has no schema yet."""
    if db.on_sqlite:
        # Ten times faster than SQLAlchemy's inspection, and every opening waits for it.
        has_table = bool(db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (VERSION_TABLE,)).found)
    else:
        has_table = inspect(db.connection).has_table(VERSION_TABLE, schema=db.statements.schema)
    rows = db.execute(f"SELECT version_num FROM {_version_table(db)}").found if has_table else ()
    return str(rows[0][0]) if rows else None


def _literal(text: str) -> str:
    return text.replace("'", "''")


def _version_table(db: Db) -> str:
    return db.statements.table_name(VERSION_TABLE)


def _look(db: Db) -> str | None:
    """See `current_revision`; on a server in one round trip with its abilities, and not within a transaction."""
    if db.on_sqlite:
        return current_revision(db)
    functions = function_queries(db.statements.table_name(THREAD.name))
    numbers = f"to_regclass('{_literal(db.statements.table_name(NUMBERED_POSTING.name))}') IS NOT NULL"
    try:
        rows = db.execute(f"SELECT version_num, {functions}, {HAS_CITUS}, {numbers} FROM {_version_table(db)}").found
    except Exception as exc:
        if sqlstate_of(exc) in _NO_TABLES:
            return None
        raise
    revision, batch_function, held_function, has_citus, numbers_tags = rows[0] if rows else (None, None, None, False, True)
    db.abilities.take(batch_function, held_function)
    _note(db, capabilities_with_citus(db) if has_citus else PLAIN, numbers_tags=numbers_tags)
    db.abilities.shard_map = None if db.abilities.database.one_snapshot else shard_map_of(db)
    return None if revision is None else str(revision)


def look_again(db: Db) -> None:
    """Find out anew what the database can do."""
    _look(db)


def _note(db: Db, found: Capabilities, *, numbers_tags: bool) -> None:
    """Remember what the database can do, and from now on execute the statements for it."""
    db.abilities.database = found
    db.statements = db.statements.for_database(sharded=not found.joins_threads, numbers_tags=numbers_tags)
    db.abilities.statements = None if numbers_tags else db.statements


def require_head(db: Db) -> None:
    """Return if the database has the schema that this release needs.

    Raises:
        SchemaOutOfDate: the database has an older revision, or none.
        SchemaTooNew: the database has a revision that this release does not know.
        UpgradeUnderWay: another process is upgrading a server's database, for longer than this one waits.
    """
    found = _look(db)
    if found != HEAD and (found is None or found in REVISIONS):
        upgrade_lock.wait_for_others(db)
        found = _look(db)
    _require(db, found)


def _require(db: Db, found: str | None) -> None:
    if found == HEAD:
        return
    where = masked(db.connection.engine.url)
    which = _which(db)
    if found is None or found in REVISIONS:
        raise SchemaOutOfDate(
            f"{where} has {f'revision {found}' if found else 'no schema'}, this release needs revision {HEAD}; "
            f"run: ckptstore upgrade{which} (or await saver.setup(), or alembic upgrade head)"
        )
    raise _too_new(db, found)


def _which(db: Db) -> str:
    """The options that name this database in a command; a server's URL is the one that the reader has, with its password."""
    url = db.connection.engine.url
    if db.on_sqlite and url.database:
        return f" --url {shlex.quote(url.database)}"
    return f" --schema {shlex.quote(db.statements.schema)}" if db.statements.schema else ""


def _too_new(db: Db, found: str) -> SchemaTooNew:
    which = _which(db)
    return SchemaTooNew(
        f"{masked(db.connection.engine.url)} has revision {found}, "
        f"the newest that this release knows is {HEAD}; "
        f"run: pip install --upgrade ckptstore (or, with the newer release, ckptstore downgrade {HEAD}{which})"
    )


def upgrade(db: Db, revision: str = "head") -> None:
    """Upgrade the schema to a revision, in one transaction. SQLite's write lock or an advisory lock admits one process at a time."""
    _quieten_alembic()
    from alembic import command

    log_started(current_revision(db), HEAD if revision == "head" else revision)
    with _alembic_lock, _config(db) as config:
        command.upgrade(config, revision)


def _quieten_alembic() -> None:
    # A dozen lines at the first use of a SQLite file are of no interest to an application that logs at INFO. A level that was set is kept.
    alembic = logging.getLogger("alembic")
    if alembic.level == logging.NOTSET:
        alembic.setLevel(logging.WARNING)


def downgrade(db: Db, revision: str) -> None:
    """Downgrade the schema to an earlier revision; `base` drops all of ckptstore's tables.

    Raises:
        InvalidConfig: the revision does not exist in this release.
        SchemaTooNew: the database has a revision that this release does not know and so can't downgrade from.
    """
    from alembic import command

    if revision not in ("base", *REVISIONS):
        raise InvalidConfig(f"unknown revision {revision!r}; the known ones are base, {', '.join(REVISIONS)}")
    found = current_revision(db)
    if found is not None and found not in REVISIONS:
        raise _too_new(db, found)
    log_started(found, revision)
    with _alembic_lock, _config(db) as config:
        command.downgrade(config, revision)


def upgrade_if_needed(db: Db) -> None:
    """Upgrade the schema to this release's revision. A database that has it already is not locked.

    Raises:
        SchemaTooNew: the database has a revision that this release does not know.
        UpgradeUnderWay: another process is upgrading it, for longer than this one waits.
    """
    found = _look(db)
    if found is None or found in REVISIONS[:-1]:
        upgrade_lock.in_turn(db, upgrade)
        found = _look(db)
    _require(db, found)


@contextmanager
def _config(db: Db) -> Iterator[Config]:
    from alembic.config import Config

    config = Config()
    with migrations_folder() as folder:
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["db"] = db
        yield config


# --- called by migrations/env.py -----------------------------------------------------------------------------------


def url_for_alembic(arguments: Mapping[str, str]) -> URL:
    """The database URL of an `alembic` command: `-x url=...`, else the environment variable.

    Raises:
        InvalidUrl: neither was given.
    """
    given = arguments.get("url") or os.environ.get(DATABASE_URL_VARIABLE)
    if not given:
        raise InvalidUrl(f"no database URL; set {DATABASE_URL_VARIABLE}, or run: alembic -x url=... upgrade head")
    return parse_database_url(given)


def run_migrations(context: EnvironmentContext | Any, db: Db, finish: Work[None]) -> None:
    """Run the migrations of an Alembic command in one transaction, one process at a time.

    Args:
        context: Alembic's.
        db: the database.
        finish: what is done once, after the last migration.
    """
    db.expect_long(unbounded=True)
    started = time.perf_counter()
    has_data = current_revision(db) in REVISIONS[:-1]
    with upgrade_lock.announced(db) if has_data else nullcontext(), db.transaction():
        enter_exclusively(db)
        before = current_revision(db)
        _configure(context, connection=db.connection)
        context.run_migrations()
        finish(db)
        after = current_revision(db)
    log_changed(before, after, time.perf_counter() - started)


def enter_exclusively(db: Db) -> None:
    """Admit one process at a time until the transaction ends, and make the schema the current one."""
    upgrade_lock.admit_alone(db)
    if not db.on_sqlite:
        for statement in _enter_schema(db.statements.schema):
            db.connection.execute(statement)


def run_migrations_at(context: EnvironmentContext | Any, url: URL, schema: str | None, finish: Work[None]) -> None:
    """Like `run_migrations`, on a connection that is opened here and closed afterwards."""
    database = open_database(url, DatabaseSettings(), schema)
    try:
        database.write(lambda db: upgrade_lock.in_turn(db, lambda db: run_migrations(context, db, finish))).result()
    finally:
        database.close()


def write_migrations(context: EnvironmentContext | Any, url: URL, schema: str | None) -> None:
    """Print the SQL of a command instead of executing it (`alembic upgrade head --sql`)."""
    check_schema_name(schema, url)
    # By its default, the style of the parameters would double every percent sign.
    _configure(context, dialect_name=url.get_backend_name(), dialect_opts={"paramstyle": "named"}, literal_binds=True)
    with context.begin_transaction():
        for statement in _enter_schema(schema):
            context.execute(statement)
        context.run_migrations()


def _enter_schema(schema: str | None) -> list[Executable]:
    if not schema:
        return []
    path = '"' + schema.replace('"', '""') + '"'
    return [CreateSchema(schema, if_not_exists=True), select(func.set_config("search_path", path, true()))]


def _configure(context: EnvironmentContext | Any, **options: Any) -> None:
    connection = options.get("connection")
    dialect_name = options["dialect_name"] if connection is None else connection.dialect.name
    numbers_tags = connection is None or dialect_name == "sqlite" or inspect(connection).has_table(NUMBERED_POSTING.name)
    compared = what_is_compared(dialect_name, numbers_tags=numbers_tags)
    context.configure(version_table=VERSION_TABLE, transactional_ddl=True, **compared, **options)
