"""Hash partitions of the per-thread tables on PostgreSQL: creating them, and converting plain tables that have rows.

`ckpt_tag` stays plain, since its searches go over all threads, and so do the tables that know no threads.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

from ckptstore.db import schema
from ckptstore.db.connection import Db
from ckptstore.db.sql.parameters import as_sent
from ckptstore.db.sql.tables import PARTITIONED
from ckptstore.errors import InvalidConfig, brief

logger = logging.getLogger(__name__)

_MAX_PARTITIONS = 1_000
# Those that a migration creates.
_OUR_TRIGGERS = "SELECT oid, tgrelid FROM pg_trigger WHERE tgname = 'ckpt_tag_forget_thread'"


class _PlainTable(NamedTuple):
    """What a table has besides its columns and rows; each part is text of SQL."""

    name: str
    owner: str
    #: Name and definition of its primary key.
    key: tuple[str, str]
    #: Names and definitions of its other indexes.
    indexes: Sequence[tuple[str, str]]
    #: Privileges and whom they were granted to.
    grants: Sequence[tuple[str, str]]
    #: Definitions of our own triggers.
    triggers: Sequence[str]


def require_partitions(count: object, *, on_sqlite: bool) -> None:
    """Return if a database can have so many partitions.

    Raises:
        InvalidConfig: it is no number of partitions, or the database is SQLite.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 1 < count <= _MAX_PARTITIONS:
        raise InvalidConfig(f"partitions must be a whole number from 2 to {_MAX_PARTITIONS}, got {brief(count)}")
    if on_sqlite:
        raise InvalidConfig("SQLite has no partitions; leave partitions out, or use a postgresql:// URL")


def upgrade_and_partition(db: Db, count: int) -> None:
    """Upgrade the schema if needed, and give every per-thread table so many partitions, by a hash of the thread id.

    A table that has none is converted in one transaction, under a lock that keeps all readers and writers of ckptstore's tables out
    while its rows are copied and its indexes built. Nothing happens if the tables have so many partitions already.

    Raises:
        InvalidConfig: the tables have another number of partitions, something depends on them, or the database is SQLite.
        SchemaTooNew: the database has a revision that this release does not know.
    """
    require_partitions(count, on_sqlite=db.on_sqlite)
    schema.upgrade_if_needed(db)
    if not db.abilities.database.partitions:
        raise InvalidConfig("the tables are distributed, and can't have partitions; leave partitions (--partitions) out")
    db.expect_long(unbounded=True)
    with db.transaction():
        schema.enter_exclusively(db)
        plain = [table for table in PARTITIONED if _partitions_of(db, table, count) == 0]
        if not plain:
            return
        started = time.perf_counter()
        # All at once: a writer that has one of them would wait for another one.
        db.execute(f"LOCK TABLE {', '.join(PARTITIONED)} IN ACCESS EXCLUSIVE MODE")
        for table in plain:
            _require_independent(db, table)
        for table in plain:
            _convert(db, _described(db, table), count)
        seconds = time.perf_counter() - started
        fields = {"event": "partitioned", "tables": len(plain), "partitions": count, "seconds": seconds}
        logger.info("%d tables converted to %d partitions each, in %.3f s", len(plain), count, seconds, extra=fields)


def _partitions_of(db: Db, table: str, wanted: int) -> int:
    """How many partitions a table has.

    Raises:
        InvalidConfig: it has some, and not as many as wanted.
    """
    found: int = db.execute(f"SELECT count(*) FROM pg_inherits WHERE inhparent = '{table}'::regclass").scalar_one()
    if found not in (0, wanted):
        raise InvalidConfig(
            f"{table} has {found} partitions, which can't become {wanted}; give partitions={found} (--partitions {found}) or none, or move "
            "the threads to a new schema with the other number"
        )
    return found


def _require_independent(db: Db, table: str) -> None:
    """Return if nothing refers to a table that its copy would lack: a view, a foreign key, a trigger, a policy, a publication.

    Raises:
        InvalidConfig: something does.
    """
    # Our own are created again.
    others = f"(classid, objid) NOT IN (SELECT 'pg_trigger'::regclass, oid FROM ({_OUR_TRIGGERS}) AS ours)"
    kept_by_name = ", ".join(f"'{catalog}'::regclass" for catalog in ("pg_trigger", "pg_policy", "pg_publication_rel", "pg_statistic_ext"))
    found = db.execute(
        "SELECT DISTINCT pg_describe_object(classid, objid, objsubid) FROM pg_depend WHERE refclassid = 'pg_class'::regclass "
        f"AND refobjid = '{table}'::regclass AND (deptype = 'n' OR classid IN ({kept_by_name})) AND {others} ORDER BY 1"
    ).all()
    if found:
        dependents = "; ".join(name for (name,) in found)
        raise InvalidConfig(
            f"{table} can't be partitioned while it has dependents ({dependents}): drop them first, and create them again afterwards; "
            "nothing was changed"
        )


def _described(db: Db, table: str) -> _PlainTable:
    of = f"'{table}'::regclass"
    key = f"SELECT quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = {of} AND contype = 'p'"
    indexes = f"SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = {of} AND NOT indisprimary"
    grantee = "CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END"
    grants = f"SELECT privilege_type, {grantee} FROM pg_class, aclexplode(relacl) WHERE oid = {of} AND grantee <> relowner"
    ((key_name, key_columns),) = db.execute(key)
    return _PlainTable(
        table,
        db.execute(f"SELECT relowner::regrole::text FROM pg_class WHERE oid = {of}").scalar_one(),
        (key_name, key_columns),
        [(name, definition) for name, definition in db.execute(indexes)],
        [(privilege, to) for privilege, to in db.execute(grants)],
        [definition for (definition,) in db.execute(f"SELECT pg_get_triggerdef(oid) FROM ({_OUR_TRIGGERS}) AS ours WHERE tgrelid = {of}")],
    )


def _convert(db: Db, table: _PlainTable, count: int) -> None:
    name, plain, (key_name, key_columns) = table.name, f"{table.name}_plain", table.key
    statements = [
        f"ALTER TABLE {name} RENAME TO {plain}",
        # Their names are free again for the indexes of the new table.
        f"ALTER TABLE {plain} DROP CONSTRAINT {key_name}",
        *(f"DROP INDEX {index}" for index, _ in table.indexes),
        f"CREATE TABLE {name} (LIKE {plain} INCLUDING ALL EXCLUDING INDEXES) PARTITION BY HASH (thread_id)",
        *(f"CREATE TABLE {name}_p{n} PARTITION OF {name} FOR VALUES WITH (MODULUS {count}, REMAINDER {n})" for n in range(count)),
        f"INSERT INTO {name} SELECT * FROM {plain}",
        f"DROP TABLE {plain}",
        f"ALTER TABLE {name} ADD CONSTRAINT {key_name} {key_columns}",
        *(definition for _, definition in table.indexes),
        *table.triggers,
        *(f"GRANT {privilege} ON {name} TO {grantee}" for privilege, grantee in table.grants),
        *(f"ALTER TABLE {each} OWNER TO {table.owner}" for each in (name, *(f"{name}_p{n}" for n in range(count)))),
    ]
    for statement in statements:
        # Definitions name the schema, and grants roles.
        db.execute(as_sent(db.connection.dialect, statement))
