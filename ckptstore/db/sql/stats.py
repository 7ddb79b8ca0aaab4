"""Statements that measure a store: from rows that count already, from the databases' catalogues, and from a sample of threads."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Table,
    Text,
    bindparam,
    case,
    cast,
    column,
    func,
    literal_column,
    null,
    or_,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import REGCLASS

from ckptstore.db.sql.lookups import lookup_join
from ckptstore.db.sql.postings import text_list
from ckptstore.db.sql.routing import SCATTERED
from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, OBJECT, SEGMENT, THREAD, WRITE
from ckptstore.db.tables import METADATA, VERSION_TABLE
from ckptstore.db.tag_tables import ON_POSTGRESQL, ON_SQLITE

_DAY: ColumnElement[int] = literal_column(str(24 * 60 * 60 * 1_000_000))
_OUR_TABLES: list[ColumnElement[str]] = [
    literal_column(f"'{name}'") for name in (*sorted({*METADATA.tables, *ON_SQLITE.tables, *ON_POSTGRESQL.tables}), VERSION_TABLE)
]
_ONE: ColumnElement[int] = literal_column("1")

# SQLite's table of the pages of its file.
_DBSTAT = table("dbstat", column("name"), column("pgsize"), column("ncell"), column("pagetype"))
_MASTER = table("sqlite_master", column("name"), column("tbl_name"), column("type"))

# PostgreSQL's catalogue and statistics.
_CLASS = table("pg_class", *map(column, ("oid", "relname", "relnamespace", "relkind", "reltuples")), schema="pg_catalog")
_INHERITS = table("pg_inherits", column("inhrelid"), column("inhparent"), schema="pg_catalog")
_NAMESPACE = table("pg_namespace", column("oid"), column("nspname"), schema="pg_catalog")
_INDEX = table("pg_index", column("indexrelid"), column("indrelid"), column("indisvalid"), schema="pg_catalog")
_STATS = table("pg_stat_all_tables", *map(column, ("relid", "n_live_tup", "n_dead_tup", "n_mod_since_analyze")), schema="pg_catalog")
# Citus's catalogue.
_SHARD = table("pg_dist_shard", column("logicalrelid"), schema="pg_catalog")
_INDEXES = table("pg_indexes", column("schemaname"), column("tablename"), column("indexname"), schema="pg_catalog")


def _sum(of: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(func.coalesce(func.sum(of), 0), BigInteger)


def _length(of: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(func.length(of), 0)


def totals(_database: str) -> Select[Any]:
    """Number of threads, and the sums of what their rows count: checkpoints and their bytes."""
    return select(func.count(), _sum(THREAD.c.checkpoint_count), _sum(THREAD.c.size)).select_from(THREAD)


def object_states(_database: str) -> Select[Any]:
    """How many objects are in each state, and their bytes."""
    return select(OBJECT.c.state, func.count(), _sum(OBJECT.c.size)).group_by(OBJECT.c.state).order_by(OBJECT.c.state)


def largest_threads(_database: str) -> Select[Any]:
    """Threads by size: id, checkpoints, bytes."""
    c = THREAD.c
    return select(c.thread_id, c.checkpoint_count, c.size).order_by(c.size.desc(), c.thread_id).limit(_page_size())


def _page_size() -> Any:
    return bindparam("page_size", type_=BigInteger)


def every_nth_thread(_database: str) -> Select[Any]:
    """One of each `every` threads in the order of their ids, which says nothing of their size: id, checkpoints, bytes."""
    c = THREAD.c
    number = func.row_number().over(order_by=c.thread_id).label("number")
    numbered = select(c.thread_id, c.checkpoint_count, c.size, number).subquery("numbered")
    n = numbered.c
    chosen = n.number % bindparam("every", type_=BigInteger) == literal_column("0")
    return select(n.thread_id, n.checkpoint_count, n.size).where(chosen).order_by(n.number).limit(_page_size())


def _of_threads(database: str, table: Table) -> tuple[FromClause, FromClause]:
    """The rows of a table in the threads `threads`, looked up by their keys: a planner might read the whole table for so many."""
    given = text_list(database, "threads").subquery("given")
    return lookup_join(database, given, table, [table.c.thread_id == given.c[0]])


def values_of_threads(database: str) -> Select[Any]:
    """The values of each channel in the threads `threads`.

    Columns: channel, number of values, their bytes as serialised, the largest one's, bytes stored in rows, and those bytes that are in
    segments.
    """
    joined, found = _of_threads(database, CHANNEL)
    c = found.c
    columns = (func.count(), _sum(c.size), func.max(c.size), _sum(_length(c.value) + _length(cast(c.layout, Text))), _in_segments(found))
    return select(c.channel, *columns).select_from(joined).group_by(c.channel)


def _in_segments(of: FromClause) -> ColumnElement[Any]:
    return _sum(case((of.c.layout.is_not(null()), of.c.size - _length(of.c.value)), else_=literal_column("0")))


def writes_of_threads(database: str) -> Select[Any]:
    """The writes in the threads `threads`: how many, bytes as serialised, in rows, and in segments."""
    joined, found = _of_threads(database, WRITE)
    c = found.c
    columns = (func.count(), _sum(c.size), _sum(_length(c.value) + _length(cast(c.layout, Text))), _in_segments(found))
    return select(*columns).select_from(joined)


def segments_of_threads(database: str) -> Select[Any]:
    """The segments in the threads `threads`, of each encoding, in rows and in objects: how many, bytes before encoding, bytes in rows."""
    joined, found = _of_threads(database, SEGMENT)
    c = found.c
    in_object = c.object_key.is_not(null())
    columns = (c.encoding, in_object.label("in_object"), func.count(), _sum(c.size), _sum(_length(c.data)))
    return select(*columns).select_from(joined).group_by(c.encoding, in_object)


def objects_of_threads(database: str) -> Select[Any]:
    """Bytes of the objects that hold segments of the threads `threads`, each object once."""
    joined, found = _of_threads(database, SEGMENT)
    keys = select(found.c.object_key.label("key")).select_from(joined).where(found.c.object_key.is_not(null())).distinct().cte("keys")
    objects, of = lookup_join(database, keys, OBJECT, [OBJECT.c.key == keys.c.key])
    return select(_sum(of.c.size)).select_from(objects)


def bodies_of_threads(database: str) -> Select[Any]:
    """The checkpoints in the threads `threads`, hidden ones too: how many, bytes of their bodies, versions and metadata."""
    joined, found = _of_threads(database, CHECKPOINT)
    c = found.c
    texts = _length(cast(c.channel_versions, Text)) + _length(cast(c.metadata, Text))
    return select(func.count(), _sum(_length(c.body)), _sum(texts)).select_from(joined)


def checkpoints_by_day(database: str) -> Select[Any]:
    """Days since 1970 (UTC) from `since`, in microseconds, on, and how many checkpoints came on each: from an index."""
    created_at = CHECKPOINT.c.created_at
    microseconds = cast(created_at, BigInteger)
    day = microseconds.op("/", return_type=BigInteger())(_DAY)
    since = created_at >= bindparam("since", type_=BigInteger)
    days: Any = select(day.label("day"), func.count())
    found: Select[Any] = days.where(since).group_by(day).order_by(day)
    return found


def bytes_by_day(database: str) -> Select[Any]:
    """Like `checkpoints_by_day`, with the bytes that they added: it reads their rows."""
    counted = checkpoints_by_day(database)
    return counted.add_columns(_sum(CHECKPOINT.c.size))


def pages_of_file(_database: str) -> Select[Any]:
    """For each table and index of the file: its table, its name, its bytes and its cells; reads every page (SQLite)."""
    leaves = func.sum(case((_DBSTAT.c.pagetype == literal_column("'leaf'"), _DBSTAT.c.ncell), else_=literal_column("0")))
    return (
        select(_MASTER.c.tbl_name, _MASTER.c.name, func.sum(_DBSTAT.c.pgsize), func.sum(_DBSTAT.c.ncell), leaves)
        .select_from(_MASTER.join(_DBSTAT, _MASTER.c.name == _DBSTAT.c.name))
        .where(_MASTER.c.tbl_name.in_(_OUR_TABLES))
        .group_by(_MASTER.c.tbl_name, _MASTER.c.name)
        .order_by(_MASTER.c.tbl_name, _MASTER.c.name)
    )


def tables_in_catalogue(database: str) -> Select[Any]:
    """For each of our tables, with its partitions: bytes without and of its indexes, rows, dead rows, whether all indexes are valid.

    Rows are those of the last ANALYZE; dead ones as the statistics have it. In the schema `:schema` or in the connection's own.
    """
    ours = _our_tables()
    if database == SCATTERED:
        own, total = _bytes_on_shards(ours)
        unknown = cast(null(), BigInteger)
        return select(ours.c.relname, own, total - own, unknown, literal_column("0"), literal_column("true")).order_by(ours.c.relname)
    each = _CLASS.alias("each")
    is_part = each.c.oid.in_(select(_INHERITS.c.inhrelid).where(_INHERITS.c.inhparent == ours.c.oid))
    invalid = select(_ONE).select_from(_INDEX).where(_INDEX.c.indrelid == each.c.oid, ~_INDEX.c.indisvalid).exists()
    dead = select(_STATS.c.n_dead_tup).where(_STATS.c.relid == each.c.oid).scalar_subquery()
    rows = case((each.c.reltuples < literal_column("0"), null()), else_=each.c.reltuples)
    return (
        select(
            ours.c.relname,
            _sum(func.pg_table_size(each.c.oid)),
            _sum(func.pg_indexes_size(each.c.oid)),
            cast(func.sum(rows), BigInteger),
            _sum(func.coalesce(dead, literal_column("0"))),
            func.bool_and(~invalid),
        )
        .select_from(ours.join(each, or_(each.c.oid == ours.c.oid, is_part)))
        # The row of a table with partitions counts those of its partitions once more.
        .where(each.c.relkind == literal_column("'r'"))
        .group_by(ours.c.relname)
        .order_by(ours.c.relname)
    )


def _bytes_on_shards(tables: FromClause) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """The bytes of a table on all nodes of a Citus cluster, without its indexes and with them: the coordinator's own tables are empty."""
    table = cast(tables.c.oid, REGCLASS)
    return cast(func.citus_table_size(table), BigInteger), cast(func.citus_total_relation_size(table), BigInteger)


def _our_tables() -> CTE:
    return (
        select(_CLASS.c.oid, _CLASS.c.relname)
        .join(_NAMESPACE, _NAMESPACE.c.oid == _CLASS.c.relnamespace)
        .where(_CLASS.c.relname.in_(_OUR_TABLES), _CLASS.c.relkind.in_([literal_column("'r'"), literal_column("'p'")]))
        .where(_NAMESPACE.c.nspname == func.coalesce(cast(bindparam("schema"), Text), func.current_schema()))
        .cte("ours")
    )


def health_of_tables(database: str) -> Select[Any]:
    """For each of our tables, with its partitions, as PostgreSQL's statistics have it: bytes, live and dead rows, rows that changed since
    the last ANALYZE, whether there was one, and the number of its partitions; in the schema `:schema` or in the connection's own.
    """
    ours = _our_tables()
    if database == SCATTERED:
        # No node has statistics of all rows.
        none: ColumnElement[int] = literal_column("0")
        shards = cast(select(func.count()).where(_SHARD.c.logicalrelid == cast(ours.c.oid, REGCLASS)).scalar_subquery(), BigInteger)
        return select(ours.c.relname, _bytes_on_shards(ours)[1], none, none, none, literal_column("true"), shards).order_by(ours.c.relname)
    each = _CLASS.alias("each")
    is_part = each.c.oid.in_(select(_INHERITS.c.inhrelid).where(_INHERITS.c.inhparent == ours.c.oid))
    counts = [_sum(column) for column in (_STATS.c.n_live_tup, _STATS.c.n_dead_tup, _STATS.c.n_mod_since_analyze)]
    parts = func.sum(case((each.c.oid != ours.c.oid, _ONE), else_=literal_column("0")))
    return (
        select(
            ours.c.relname,
            _sum(func.pg_total_relation_size(each.c.oid)),
            *counts,
            func.bool_or(each.c.reltuples >= literal_column("0")),
            cast(parts, BigInteger),
        )
        .select_from(ours.join(each, or_(each.c.oid == ours.c.oid, is_part)).join(_STATS, _STATS.c.relid == each.c.oid, isouter=True))
        .where(each.c.relkind == literal_column("'r'"))
        .group_by(ours.c.relname)
        .order_by(ours.c.relname)
    )


def index_names(database: str) -> Select[Any]:
    """The names of the indexes of our tables."""
    if database == "sqlite":
        return select(_MASTER.c.name).where(_MASTER.c.type == literal_column("'index'"), _MASTER.c.tbl_name.in_(_OUR_TABLES))
    schema = func.coalesce(cast(bindparam("schema"), Text), func.current_schema())
    return select(_INDEXES.c.indexname).where(_INDEXES.c.schemaname == schema, _INDEXES.c.tablename.in_(_OUR_TABLES))


def invalid_indexes(_database: str) -> Select[Any]:
    """The names of the indexes that were built without success, of our tables and their partitions (PostgreSQL)."""
    index, indexed = _CLASS.alias("found"), _CLASS.alias("indexed")
    schema = func.coalesce(cast(bindparam("schema"), Text), func.current_schema())
    joined = (
        _INDEX.join(index, index.c.oid == _INDEX.c.indexrelid)
        .join(indexed, indexed.c.oid == _INDEX.c.indrelid)
        .join(_NAMESPACE, _NAMESPACE.c.oid == indexed.c.relnamespace)
    )
    ours = func.starts_with(cast(indexed.c.relname, Text), literal_column("'ckpt_'"))
    invalid = select(index.c.relname).select_from(joined).where(~_INDEX.c.indisvalid, _NAMESPACE.c.nspname == schema, ours)
    return invalid.where(index.c.relkind == literal_column("'i'")).order_by(index.c.relname)


def newest_metadata(_database: str) -> Select[Any]:
    """The metadata of the `page_size` newest checkpoints, as JSON."""
    # The condition of the index.
    has_id = CHECKPOINT.c.checkpoint_id > literal_column("''")
    found = select(cast(CHECKPOINT.c.metadata, Text)).where(has_id, CHECKPOINT.c.hidden.is_(False))
    return found.order_by(CHECKPOINT.c.checkpoint_id.desc()).limit(bindparam("page_size"))
