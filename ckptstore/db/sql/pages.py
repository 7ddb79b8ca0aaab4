"""Pages of a listing of checkpoints, found through the index that yields the fewest candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    tuple_,
    union,
    union_all,
)

from ckptstore.db.sql.checkpoints import whole
from ckptstore.db.sql.lookups import OrderedJoin, equal_columns, exists_for_row, hidden_value, is_visible, lookup_join, namespaces_of_thread
from ckptstore.db.sql.parameters import keys_table
from ckptstore.db.sql.tables import CHECKPOINT, CHECKPOINT_KEY, TAG
from ckptstore.records import StateFormat

# The greatest 64-bit integer.
_END_OF_TIME = 2**63 - 1

#: The order of a listing, newest first.
ORDER = ("checkpoint_id", "thread_id", "checkpoint_ns")


class Shape(NamedTuple):
    """The form of a page's statement: everything except the values of its parameters.

    `source` is where the candidates come from:

    - `checkpoints`: the table itself, by key, by thread, or newest first;
    - `tags`: the postings `source_key` = `source_value_0`, `source_value_1`, ..., each stream newest first, merged;
    - `list`: the postings of `source_key` with one of `source_values`, collected and sorted;
    - `span` and `span and below`: the postings of `source_key` from `source_low` up to but not including `source_high`, and for the
      second also those of nested keys, collected and sorted;
    - `time`: the checkpoints created within a period, collected and sorted.
    """

    source: str = "checkpoints"
    #: How many streams are merged.
    streams: int = 1
    #: Which of `thread_id`, `checkpoint_ns`, `checkpoint_id`, `before`, `floor` (the smallest id to look at), `after` (the key of the
    #: last checkpoint seen), `created_after` and `created_before` restrict the page.
    given: frozenset[str] = frozenset()
    #: For each further condition whether it allows several values: parameters `has_0_key`, `has_0_value` or `has_0_values`, ...
    required: tuple[bool, ...] = ()
    #: How many postings a checkpoint must not have: `excluded_0_key`, `excluded_0_value`, ...
    forbidden: int = 0


def page_whole(database: str, shape: Shape, state_format: StateFormat) -> CompoundSelect[Any]:
    """A page of checkpoints, whole: in one statement."""
    return whole(database, page(database, shape), state_format)


# Stand where the texts of the next two meet. They are never executed.
_A_PAGE, _THE_REST = "'a page'", "'the rest'"


def beginning_of_whole(database: str, shape: Shape) -> Select[Any]:
    """The part of `page_whole` that depends on the shape: to compile all of it takes four times as long."""
    return select(literal_column(_THE_REST)).select_from(page(database, shape).cte("target"))


def rest_of_whole(database: str, state_format: StateFormat) -> CompoundSelect[Any]:
    """The part of `page_whole` that is the same for every shape. It has no parameters."""
    return whole(database, select(CHECKPOINT).where(literal_column(_A_PAGE)), state_format)


def joined_whole(beginning: str, rest: str) -> str:
    """The text of `page_whole`, from those of its parts."""
    return beginning.rpartition(f"\n SELECT {_THE_REST}")[0] + rest.partition(f"WHERE {_A_PAGE})")[2]


def page_metadata(database: str, shape: Shape) -> Select[Any]:
    """Key and metadata of a page of checkpoints, to compare with a filter."""
    found = page(database, shape).subquery("found")
    columns = [found.c[name] for name in CHECKPOINT_KEY]
    return select(*columns, cast(found.c.metadata, Text)).order_by(*[found.c[name].desc() for name in ORDER])


def page_keys(database: str, shape: Shape) -> Select[Any]:
    """The keys of a page of checkpoints: thread, namespace, id."""
    found = page(database, shape).subquery("found")
    return select(*[found.c[name] for name in CHECKPOINT_KEY]).order_by(*[found.c[name].desc() for name in ORDER])


def page(database: str, shape: Shape) -> Select[Any]:
    """Up to `page_size` checkpoints, newest first, that satisfy what is given."""
    if shape.source == "tags":
        streams = [_stream(database, shape, number) for number in range(shape.streams)]
        if len(streams) == 1:
            return streams[0]
        merged = union_all(*[select(stream.subquery(f"stream_{number}")) for number, stream in enumerate(streams)]).subquery("merged")
        return _newest(select(merged), merged)
    if shape.source == "checkpoints" and "thread_id" in shape.given and shape.given.isdisjoint(("checkpoint_ns", "checkpoint_id")):
        return _page_of_thread(database, shape)
    if shape.source == "checkpoints":
        query = _restricted(select(CHECKPOINT), database, shape, CHECKPOINT)
        if "thread_id" not in shape.given:
            # The condition of the partial index `ckpt_checkpoint_newest`, without which it is not used.
            query = query.where(CHECKPOINT.c.checkpoint_id > literal_column("''"))
    elif shape.source == "time":
        query = _restricted(select(CHECKPOINT), database, shape, CHECKPOINT)
    else:
        candidates = collected(database, shape.source)
        joined, found = lookup_join(database, candidates, CHECKPOINT, equal_columns(CHECKPOINT, candidates, CHECKPOINT_KEY))
        return _newest(_restricted(select(found).select_from(joined), database, shape, candidates, found), found)
    return _newest(query, CHECKPOINT)


def _page_of_thread(database: str, shape: Shape) -> Select[Any]:
    """A page of a thread's checkpoints: each namespace is in the order of the ids, the whole thread is not."""
    namespaces = namespaces_of_thread()
    each = CHECKPOINT.alias("each")
    query = select(each).where(*equal_columns(each, namespaces, ("thread_id", "checkpoint_ns")))
    newest = _newest(_restricted(query, database, shape._replace(given=shape.given - {"thread_id"}), each, each), each)
    if database == "postgresql":
        found = newest.correlate(namespaces).lateral("found")
        return _newest(select(found).select_from(namespaces.join(found, literal_column("true"))), found)
    ids = newest.with_only_columns(each.c.checkpoint_id).correlate(namespaces)
    in_namespace = [*equal_columns(CHECKPOINT, namespaces, ("thread_id", "checkpoint_ns")), CHECKPOINT.c.checkpoint_id.in_(ids)]
    return _newest(select(CHECKPOINT).select_from(OrderedJoin(namespaces, CHECKPOINT, and_(*in_namespace))), CHECKPOINT)


def _stream(database: str, shape: Shape, number: int) -> Select[Any]:
    joined, found = lookup_join(database, TAG, CHECKPOINT, equal_columns(CHECKPOINT, TAG, CHECKPOINT_KEY))
    query = select(found).select_from(joined)
    query = query.where(TAG.c.key == bindparam("source_key"), TAG.c.value == bindparam(f"source_value_{number}"))
    return _newest(_restricted(query, database, shape, TAG, found), TAG)


def collected(database: str, source: str, names: Sequence[str] = CHECKPOINT_KEY) -> FromClause:
    """The keys of the checkpoints that the postings of a `list`, `span` or `span and below` name, or these columns of them: each once."""
    columns = [TAG.c[name] for name in names]
    if source == "list":
        return select(*columns).where(_one_of(database, "source")).distinct().subquery("collected")
    within = select(*columns).where(_in_span())
    if source == "span":
        return within.distinct().subquery("collected")
    return union(within, select(*columns).where(_nested())).subquery("collected")


def _restricted(
    query: Select[Any], database: str, shape: Shape, candidates: FromClause, checkpoints: FromClause = CHECKPOINT
) -> Select[Any]:
    """Add the conditions that every checkpoint of the page satisfies.

    Args:
        query: selects the checkpoints.
        database: the dialect's name.
        shape: the restrictions.
        candidates: the table with the key columns, for conditions on keys.
        checkpoints: the table with the other columns.
    """
    query = query.where(is_visible(checkpoints), *[candidates.c[name] == bindparam(name) for name in CHECKPOINT_KEY if name in shape.given])
    if "floor" in shape.given:
        query = query.where(candidates.c.checkpoint_id >= bindparam("floor"))
    if "before" in shape.given:
        query = query.where(candidates.c.checkpoint_id < bindparam("before"))
    query = query.where(*_created_within(database, shape.given, checkpoints))
    if "after" in shape.given:
        last = [bindparam(f"after_{name}", type_=Text()) for name in ORDER]
        query = query.where(tuple_(*[candidates.c[name] for name in ORDER]) < tuple_(*last))
    for number, several in enumerate(shape.required):
        query = query.where(has_posting(database, candidates, f"has_{number}", several=several))
    return query.where(*[~has_posting(database, candidates, f"excluded_{number}") for number in range(shape.forbidden)])


def _created_within(database: str, given: frozenset[str], checkpoints: FromClause) -> list[ColumnElement[bool]]:
    """The conditions on the time of creation: both bounds, even if only one is given.

    PostgreSQL's planner assumes that a range between two unknown bounds has 0.5 % of a table's rows, and a half-open range a third
    of them, for which it would read the whole table.
    """
    if given.isdisjoint(("created_after", "created_before")):
        return []
    first = bindparam("created_after", type_=BigInteger()) if "created_after" in given else literal_column("0")
    end = bindparam("created_before", type_=BigInteger()) if "created_before" in given else literal_column(str(_END_OF_TIME))
    created_at = checkpoints.c.created_at
    return [created_at >= hidden_value(database, first), created_at < hidden_value(database, end)]


def _newest(query: Select[Any], order: FromClause) -> Select[Any]:
    return query.order_by(*[order.c[name].desc() for name in ORDER]).limit(bindparam("page_size", type_=BigInteger))


def has_posting(database: str, of: FromClause, prefix: str, *, several: bool = False) -> ColumnElement[bool]:
    """Whether a checkpoint (a row with its key) has a posting: `prefix_key`, and `prefix_value` or one of `prefix_values`."""
    probe = TAG.alias(prefix)
    wanted = _one_of(database, prefix, probe) if several else _is(prefix, probe)
    return exists_for_row(database, select(literal_column("1")).select_from(probe).where(wanted, *equal_columns(probe, of, CHECKPOINT_KEY)))


def _is(prefix: str, tag: FromClause) -> ColumnElement[bool]:
    return and_(tag.c.key == bindparam(f"{prefix}_key"), tag.c.value == bindparam(f"{prefix}_value"))


def _one_of(database: str, prefix: str, tag: FromClause = TAG) -> ColumnElement[bool]:
    return and_(tag.c.key == bindparam(f"{prefix}_key"), tag.c.value.in_(text_list(database, f"{prefix}_values")))


def text_list(database: str, parameter: str) -> Select[Any]:
    """The texts of a parameter that holds several: a JSON array on SQLite, an array on PostgreSQL."""
    if database == "sqlite":
        return select(func.json_each(bindparam(parameter, type_=Text)).table_valued("value", name=parameter).c.value)
    each = func.unnest(bindparam(parameter, type_=ARRAY(Text()))).table_valued("value", name=parameter).render_derived()
    return select(each.c.value)


def _in_span() -> ColumnElement[bool]:
    value = TAG.c.value
    return and_(TAG.c.key == bindparam("source_key"), value >= bindparam("source_low"), value < bindparam("source_high"))


def _nested() -> ColumnElement[bool]:
    return and_(TAG.c.key >= bindparam("source_first_below"), TAG.c.key < bindparam("source_after_below"))


def checkpoints_with_postings(database: str) -> Select[Any]:
    """The checkpoints that have one of the given postings: (thread, namespace, id)."""
    given_keys = keys_table(database, ("key", "value"))
    return select(*[TAG.c[name] for name in CHECKPOINT_KEY]).join(given_keys, and_(*equal_columns(TAG, given_keys, ("key", "value"))))


def count_of_postings(database: str, source: str) -> Select[Any]:
    """How many postings a source has (`list`, `span` or `span and below`), counted up to `bound`."""
    one: ColumnElement[int] = literal_column("1")
    if source == "list":
        return _count(select(one).select_from(TAG).where(_one_of(database, "source")))
    within = select(one).select_from(TAG).where(_in_span())
    if source == "span":
        return _count(within)
    parts = [within.subquery("within"), select(one).select_from(TAG).where(_nested()).subquery("below")]
    return _count(select(union_all(*[select(one.label("one")).select_from(part) for part in parts]).subquery("both")))


def weights_of_postings(database: str) -> Select[Any]:
    """For each posting given as a key: how many checkpoints have it, counted up to `bound`, and how far back they reach.

    Columns: key, value, count, and the id of the checkpoint that follows `skipped` newer ones below `below`, or null.
    """
    given = keys_table(database, ("key", "value"))
    posting = [TAG.c.key == given.c.key, TAG.c.value == given.c.value]
    one: ColumnElement[int] = literal_column("1")
    some = select(one.label("one")).select_from(TAG).where(*posting).limit(bindparam("bound", type_=BigInteger)).correlate(given)
    count = select(func.count()).select_from(some.subquery("some")).scalar_subquery()
    newest = select(TAG.c.checkpoint_id).where(*posting, TAG.c.checkpoint_id < bindparam("below")).order_by(TAG.c.checkpoint_id.desc())
    reached = newest.limit(one).offset(bindparam("skipped", type_=BigInteger)).correlate(given).scalar_subquery()
    return select(given.c.key, given.c.value, count, reached)


def count_of_thread(_database: str) -> Select[Any]:
    """How many checkpoints a thread has, counted up to `bound`."""
    return _count(select(literal_column("1")).select_from(CHECKPOINT).where(CHECKPOINT.c.thread_id == bindparam("thread_id")))


def count_of_time(database: str, given: frozenset[str]) -> Select[Any]:
    """How many checkpoints were created within a period (`created_after`, `created_before`), counted up to `bound`."""
    query: Select[Any] = select(literal_column("1")).select_from(CHECKPOINT)
    query = query.where(*_created_within(database, given, CHECKPOINT))
    return _count(query)


def _count(rows: Select[Any]) -> Select[Any]:
    return select(func.count()).select_from(rows.limit(bindparam("bound", type_=BigInteger)).subquery("some"))
