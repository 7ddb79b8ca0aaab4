"""The index of tags: conditions on it, what it says about tags, and the checkpoints that have them.

On SQLite, its rows name their thread by a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    func,
    literal_column,
    select,
    union,
    union_all,
)

from ckptstore.db.sql.lookups import OrderedJoin, exists_for_row
from ckptstore.db.sql.parameters import keys_table
from ckptstore.db.sql.tables import CHECKPOINT_KEY, POSTING, TAG, TAG_THREAD

_ONE: ColumnElement[int] = literal_column("1")


def index_of(database: str) -> Table:
    """The table that is the index of tags."""
    return POSTING if database == "sqlite" else TAG


class KeyColumns(NamedTuple):
    """The columns that have the key of a checkpoint."""

    thread_id: ColumnElement[str]
    checkpoint_ns: ColumnElement[str]
    checkpoint_id: ColumnElement[str]
    #: The number of the thread in SQLite's index, where it is known.
    thread_no: ColumnElement[int] | None = None

    def equals(self, checkpoints: FromClause) -> list[ColumnElement[bool]]:
        """The conditions that rows of a table have this key."""
        return [checkpoints.c[name] == getattr(self, name) for name in CHECKPOINT_KEY]


def key_in(rows: FromClause) -> KeyColumns:
    """The key of a checkpoint in columns of the same names."""
    return KeyColumns(*[rows.c[name] for name in CHECKPOINT_KEY])


def with_threads(database: str, rows: FromClause) -> tuple[FromClause, KeyColumns]:
    """Rows of the index, or with its columns, and where the keys of their checkpoints are: on SQLite, joined with their threads."""
    if database != "sqlite":
        return rows, key_in(rows)
    joined = OrderedJoin(rows, TAG_THREAD, TAG_THREAD.c.number == rows.c.thread_no)
    return joined, KeyColumns(TAG_THREAD.c.thread_id, rows.c.checkpoint_ns, rows.c.checkpoint_id, rows.c.thread_no)


def with_number(database: str, threads: FromClause) -> tuple[FromClause, ColumnElement[int] | None]:
    """Threads that may have tags, for who probes checkpoints of each: on SQLite with their numbers."""
    if database != "sqlite":
        return threads, None
    return OrderedJoin(threads, TAG_THREAD, TAG_THREAD.c.thread_id == threads.c.thread_id), TAG_THREAD.c.number


def has_posting(database: str, key: KeyColumns, prefix: str, *, several: bool = False) -> ColumnElement[bool]:
    """Whether a checkpoint has a posting: `prefix_key`, and `prefix_value` or one of `prefix_values`."""
    probe = index_of(database).alias(prefix)
    wanted = _one_of(database, prefix, probe) if several else _is(prefix, probe)
    probed, same = _of_checkpoint(database, probe, key)
    found = select(_ONE).select_from(probed).where(wanted, *same)
    # The number may be that of a row of a statement further out.
    return exists_for_row(database, found if key.thread_no is None else found.correlate_except(probe))


def _of_checkpoint(database: str, probe: FromClause, key: KeyColumns) -> tuple[FromClause, Sequence[ColumnElement[bool]]]:
    """What to read rows of the index from, and the conditions that they are of a checkpoint."""
    if database != "sqlite":
        return probe, key.equals(probe)
    same = [probe.c[name] == getattr(key, name) for name in CHECKPOINT_KEY[1:]]
    if key.thread_no is not None:
        return probe, [*same, probe.c.thread_no == key.thread_no]
    thread = TAG_THREAD.alias("numbered")
    return OrderedJoin(thread, probe, probe.c.thread_no == thread.c.number), [*same, thread.c.thread_id == key.thread_id]


def _is(prefix: str, tag: FromClause) -> ColumnElement[bool]:
    return and_(tag.c.key == bindparam(f"{prefix}_key"), tag.c.value == bindparam(f"{prefix}_value"))


def _one_of(database: str, prefix: str, tag: FromClause) -> ColumnElement[bool]:
    return and_(tag.c.key == bindparam(f"{prefix}_key"), tag.c.value.in_(text_list(database, f"{prefix}_values")))


def text_list(database: str, parameter: str) -> Select[Any]:
    """The texts of a parameter that holds several: a JSON array on SQLite, an array on PostgreSQL."""
    if database == "sqlite":
        return select(func.json_each(bindparam(parameter, type_=Text)).table_valued("value", name=parameter).c.value)
    each = func.unnest(bindparam(parameter, type_=ARRAY(Text()))).table_valued("value", name=parameter).render_derived()
    return select(each.c.value)


def _in_span(tag: FromClause) -> ColumnElement[bool]:
    value = tag.c.value
    return and_(tag.c.key == bindparam("source_key"), value >= bindparam("source_low"), value < bindparam("source_high"))


def _nested(tag: FromClause) -> ColumnElement[bool]:
    return and_(tag.c.key >= bindparam("source_first_below"), tag.c.key < bindparam("source_after_below"))


def collected(database: str, source: str, names: Sequence[str] = CHECKPOINT_KEY) -> FromClause:
    """The checkpoints that the postings of a `list`, `span` or `span and below` name, each once: the index's columns for their keys.

    Args:
        database: the dialect's name.
        source: see `pages.Shape`.
        names: which columns of the keys.
    """
    tag = index_of(database)
    columns = [tag.c["thread_no" if name == "thread_id" and database == "sqlite" else name] for name in names]
    if source == "list":
        return select(*columns).where(_one_of(database, "source", tag)).distinct().subquery("collected")
    within = select(*columns).where(_in_span(tag))
    if source == "span":
        return within.distinct().subquery("collected")
    return union(within, select(*columns).where(_nested(tag))).subquery("collected")


def thread_ids_of(database: str, found: FromClause) -> Select[Any]:
    """The ids of threads that were collected."""
    if database != "sqlite":
        return select(found)
    return select(TAG_THREAD.c.thread_id).select_from(OrderedJoin(found, TAG_THREAD, TAG_THREAD.c.number == found.c.thread_no))


def checkpoints_with_postings(database: str) -> Select[Any]:
    """The checkpoints that have one of the given postings: (thread, namespace, id)."""
    given, tag = keys_table(database, ("key", "value")), index_of(database)
    same = and_(tag.c.key == given.c.key, tag.c.value == given.c.value)
    if database != "sqlite":
        return select(*[tag.c[name] for name in CHECKPOINT_KEY]).join(given, same)
    rows, key = with_threads(database, tag)
    columns: list[ColumnElement[Any]] = [getattr(key, name) for name in CHECKPOINT_KEY]
    return select(*columns).select_from(rows.join(given, same))


def count_of_postings(database: str, source: str) -> Select[Any]:
    """How many postings a source has (`list`, `span` or `span and below`), counted up to `bound`."""
    tag = index_of(database)
    if source == "list":
        return _count(select(_ONE).select_from(tag).where(_one_of(database, "source", tag)))
    within = select(_ONE).select_from(tag).where(_in_span(tag))
    if source == "span":
        return _count(within)
    parts = [within.subquery("within"), select(_ONE).select_from(tag).where(_nested(tag)).subquery("below")]
    return _count(select(union_all(*[select(_ONE.label("one")).select_from(part) for part in parts]).subquery("both")))


def _count(rows: Select[Any]) -> Select[Any]:
    return select(func.count()).select_from(rows.limit(bindparam("bound", type_=BigInteger)).subquery("some"))


def count_with_id(database: str, streams: int) -> Select[Any]:
    """How many checkpoints with the id `checkpoint_id` have one of the postings that so many streams are of, counted up to `bound`."""
    tag = index_of(database)
    values = tag.c.value.in_([bindparam(f"source_value_{number}") for number in range(streams)])
    of_id = tag.c.checkpoint_id == bindparam("checkpoint_id")
    return _count(select(_ONE).select_from(tag).where(tag.c.key == bindparam("source_key"), values, of_id))


def weights_of_postings(database: str) -> Select[Any]:
    """For each posting given as a key: how many checkpoints have it, counted up to `bound`, and how far back they reach.

    Columns: key, value, count, and the id of the checkpoint that follows `skipped` newer ones below `below`, or null.
    """
    given, tag = keys_table(database, ("key", "value")), index_of(database)
    posting = [tag.c.key == given.c.key, tag.c.value == given.c.value]
    some = select(_ONE.label("one")).select_from(tag).where(*posting).limit(bindparam("bound", type_=BigInteger)).correlate(given)
    count = select(func.count()).select_from(some.subquery("some")).scalar_subquery()
    newest = select(tag.c.checkpoint_id).where(*posting, tag.c.checkpoint_id < bindparam("below")).order_by(tag.c.checkpoint_id.desc())
    reached = newest.limit(_ONE).offset(bindparam("skipped", type_=BigInteger)).correlate(given).scalar_subquery()
    return select(given.c.key, given.c.value, count, reached)
