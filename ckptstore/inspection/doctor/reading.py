"""Reads from a store what the doctor goes by. It reads catalogues, counts and a sample, never all rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.schema import CreateIndex

from ckptstore.db import sql
from ckptstore.db.cluster import read_cluster
from ckptstore.db.connection import Db
from ckptstore.db.shard_health import ShardHealth, read_shard_health
from ckptstore.db.tables import tables_for_ddl
from ckptstore.db.url import is_memory
from ckptstore.errors import DatabaseUnavailable, TagKeysChanged
from ckptstore.inspection.cluster_checks import why_unreachable
from ckptstore.inspection.doctor.facts import Facts, RetentionFacts, TableFacts, WalFacts
from ckptstore.inspection.doctor.load_facts import load_facts, unsearched_keys
from ckptstore.inspection.table_sizes import table_sizes
from ckptstore.maintenance.reindex import stored_keys
from ckptstore.records import StateFormat
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store
from ckptstore.tags.keys import EVERYTHING

_WEEK_DAYS = 7
_HOUR = 3600 * 1_000_000
_RETENTION = "retention"


def read_facts(store: Store, now: int, state_format: StateFormat, *, ceiling: float | None, overdue: int | None) -> Steps[Facts]:
    """Read the facts of a store.

    Args:
        store: the store.
        now: the current time in microseconds since 1970, UTC.
        state_format: what the checkpoints mean.
        ceiling: writes per second that this machine stored in a test; None without one.
        overdue: checkpoints that a policy would delete now; None without a policy.

    Raises:
        DatabaseUnavailable: a node of a cluster does not answer.
    """
    wal = yield from store.read(partial(_wal, url=store.runner.url))
    cluster = yield from store.read(read_cluster)
    if cluster is not None and (reason := why_unreachable(cluster)) is not None:
        raise DatabaseUnavailable(reason)
    facts = yield from store.read(partial(_facts, now=now, state_format=state_format, wal=wal, ceiling=ceiling, overdue=overdue))
    return replace(facts, cluster=cluster)


def _facts(db: Db, now: int, state_format: StateFormat, wal: WalFacts | None, ceiling: float | None, overdue: int | None) -> Facts:
    db.expect_long()
    with db.snapshot():
        sizes = table_sizes(db, full=False)
        shards = {} if db.abilities.database.one_snapshot else read_shard_health(db)
        try:
            tag_keys = stored_keys(db) or EVERYTHING
        except TagKeysChanged:
            tag_keys = EVERYTHING
        return Facts(
            on_sqlite=db.on_sqlite,
            bytes=sizes.bytes,
            free_bytes=sizes.free_bytes,
            wal=wal,
            load=load_facts(db, now),
            ceiling=ceiling,
            tables=() if db.on_sqlite else _tables(db, shards),
            missing_indexes=_missing_indexes(db),
            invalid_indexes=() if db.on_sqlite else _invalid_indexes(db, shards),
            retention=_retention(db, now, overdue),
            unsearched=unsearched_keys(db, now, tag_keys, state_format),
        )


def _tables(db: Db, shards: Mapping[str, ShardHealth]) -> list[TableFacts]:
    tables = [_table(*row) for row in db.run(sql.stats.health_of_tables, {"schema": db.statements.schema})]
    return [_on_shards(table, shards[table.name]) if table.name in shards else table for table in tables]


def _on_shards(table: TableFacts, health: ShardHealth) -> TableFacts:
    return replace(
        table,
        live_rows=health.live_rows,
        dead_rows=health.dead_rows,
        changed_rows=health.changed_rows,
        is_analysed=health.is_analysed,
    )


def _table(name: str, size: int, live: int, dead: int, changed: int, is_analysed: bool, partitions: int) -> TableFacts:
    return TableFacts(
        name=name, bytes=size, live_rows=live, dead_rows=dead, changed_rows=changed, is_analysed=is_analysed, partitions=partitions
    )


def _missing_indexes(db: Db) -> list[str]:
    """The statements that create the indexes which are not there."""
    present = {name for (name,) in db.run(sql.stats.index_names, {} if db.on_sqlite else {"schema": db.statements.schema})}
    indexes = [index for table in tables_for_ddl().sorted_tables for index in table.indexes if index.name not in present]
    made = sorted(" ".join(str(CreateIndex(index).compile(dialect=db.connection.dialect)).split()) for index in indexes)
    return [statement.replace(" ON ckpt_", f" ON {_prefix(db)}ckpt_") for statement in made]


def _invalid_indexes(db: Db, shards: Mapping[str, ShardHealth]) -> list[str]:
    names = {name for (name,) in db.run(sql.stats.invalid_indexes, {"schema": db.statements.schema})}
    names.update(*(health.invalid_indexes for health in shards.values()))
    return [_prefix(db) + db.connection.dialect.identifier_preparer.quote(name) for name in sorted(names)]


def _prefix(db: Db) -> str:
    """What stands before the names of tables in statements for a user to run: the schema, in quotes where it needs them."""
    schema = db.statements.schema
    return f"{db.connection.dialect.identifier_preparer.quote(schema)}." if schema else ""


def _retention(db: Db, now: int, overdue: int | None) -> RetentionFacts:
    rows = db.run(sql.settings_table.setting, {"name": _RETENTION}).all()
    ran_at = json.loads(rows[0][0]).get("ran_at") if rows else None
    _threads, checkpoints, _size = db.run(sql.stats.totals).found[0]
    days = db.run(sql.stats.checkpoints_by_day, {"since": now - _WEEK_DAYS * 24 * _HOUR})
    return RetentionFacts(
        hours_since_run=None if ran_at is None else (now - ran_at) / _HOUR,
        overdue_checkpoints=overdue,
        checkpoints=checkpoints,
        checkpoints_per_day=sum(count for _, count in days) / _WEEK_DAYS,
    )


def _wal(db: Db, url: URL) -> WalFacts | None:
    if not db.on_sqlite or is_memory(url):
        return None
    # What savers do all the time: it moves what no reader needs, waits for nobody, and tells how much is left.
    ((_busy, pages, moved),) = db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    page_size = db.execute("PRAGMA page_size").scalar_one()
    log = Path(f"{url.database}-wal")
    return WalFacts(bytes=log.stat().st_size if log.exists() else 0, pinned_bytes=max(0, pages - moved) * page_size)
