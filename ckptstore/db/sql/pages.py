"""Pages of a listing of checkpoints, found through the index that yields the fewest candidates."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    Text,
    TextClause,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
    tuple_,
    union_all,
)

from ckptstore.db.id_times import OFF_TIME
from ckptstore.db.sql.checkpoints import whole
from ckptstore.db.sql.key_columns import KeyColumns, key_in
from ckptstore.db.sql.lookups import OrderedJoin, equal_columns, hidden_value, is_visible, lookup_join, namespaces_of_thread
from ckptstore.db.sql.postings import collected, has_posting, is_posting
from ckptstore.db.sql.tables import CHECKPOINT, CHECKPOINT_KEY
from ckptstore.db.sql.tag_ids import Half
from ckptstore.db.sql.tag_layouts import index_of
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
    #: Of streams: whether, where the page ends among checkpoints with one id, of several threads, it may have any of these: SQLite's index
    #: of tags is not in the order of the threads' ids.
    ends_anywhere: bool = False
    #: Whether checkpoints that are off time (`ckptstore.db.id_times`) are added: `floor` and `before` are then the bounds of the ids of the
    #: others. They have ids from `off_time_floor` (up to `off_time_before`, if that is given) that are smaller than `off_time_first` or at
    #: least `off_time_end`, and where the source is `tags`, the posting `off_time_key` = `off_time_value`, or of several streams one of
    #: `off_time_values`.
    off_time: bool = False


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
    if not shape.off_time:
        return _page_on_time(database, shape)
    # Where both are given, all ids below `before` come after `after`.
    on_time = shape._replace(given=shape.given - {"after"}) if "before" in shape.given else shape
    parts = (_page_on_time(database, on_time), _page_off_time(database, shape))
    merged = union_all(*[select(part.subquery(f"part_{number}")) for number, part in enumerate(parts)]).subquery("merged")
    return _newest(select(merged), merged)


def _page_off_time(database: str, shape: Shape) -> Select[Any]:
    """The checkpoints of a page that a search between two ids would miss."""
    key = key_in(CHECKPOINT)
    floor, before, first, end = (bindparam(f"off_time_{name}", type_=Text()) for name in ("floor", "before", "first", "end"))
    ids = [key.checkpoint_id >= floor, or_(key.checkpoint_id < first, key.checkpoint_id >= end)]
    ids += [key.checkpoint_id < before] if "off_time_before" in shape.given else []
    ids += [_comes_after(key)] if "after" in shape.given else []
    query = select(CHECKPOINT).where(_is_off_time(database), _without_index(and_(*ids)))
    if shape.source == "tags":
        query = query.where(has_posting(database, key, "off_time", several=shape.streams > 1))
    # Found by their time.
    restrictions = shape._replace(source="time", given=shape.given - {"floor", "before", "after"})
    return _newest(_restricted(query, database, restrictions, key), CHECKPOINT)


def _page_on_time(database: str, shape: Shape) -> Select[Any]:
    if shape.source == "tags":
        streams = [_stream(database, shape, number) for number in range(shape.streams)]
        if len(streams) == 1:
            return streams[0]
        merged = union_all(*[select(stream.subquery(f"stream_{number}")) for number, stream in enumerate(streams)]).subquery("merged")
        return _newest(select(merged), merged)
    if shape.source == "checkpoints" and "thread_id" in shape.given and shape.given.isdisjoint(("checkpoint_ns", "checkpoint_id")):
        return _page_of_thread(database, shape)
    if shape.source == "checkpoints":
        query = _restricted(select(CHECKPOINT), database, shape, key_in(CHECKPOINT))
        if "thread_id" not in shape.given:
            # The condition of the partial index `ckpt_checkpoint_newest`, without which it is not used.
            query = query.where(CHECKPOINT.c.checkpoint_id > literal_column("''"))
    elif shape.source == "time":
        query = _restricted(select(CHECKPOINT), database, shape, key_in(CHECKPOINT))
    else:
        candidates = collected(database, shape.source)
        rows, key = index_of(database).with_threads(candidates)
        joined, found = lookup_join(database, rows, CHECKPOINT, key.equals(CHECKPOINT))
        return _newest(_restricted(select(found).select_from(joined), database, shape, key, found), found)
    return _newest(query, CHECKPOINT)


def _page_of_thread(database: str, shape: Shape) -> Select[Any]:
    """A page of a thread's checkpoints: each namespace is in the order of the ids, the whole thread is not."""
    namespaces = namespaces_of_thread()
    each = CHECKPOINT.alias("each")
    query = select(each).where(*equal_columns(each, namespaces, ("thread_id", "checkpoint_ns")))
    newest = _newest(_restricted(query, database, shape._replace(given=shape.given - {"thread_id"}), key_in(each), each), each)
    if database == "postgresql":
        found = newest.correlate(namespaces).lateral("found")
        return _newest(select(found).select_from(namespaces.join(found, literal_column("true"))), found)
    ids = newest.with_only_columns(each.c.checkpoint_id).correlate(namespaces)
    in_namespace = [*equal_columns(CHECKPOINT, namespaces, ("thread_id", "checkpoint_ns")), CHECKPOINT.c.checkpoint_id.in_(ids)]
    return _newest(select(CHECKPOINT).select_from(OrderedJoin(namespaces, CHECKPOINT, and_(*in_namespace))), CHECKPOINT)


def _stream(database: str, shape: Shape, number: int) -> Select[Any]:
    index = index_of(database)
    rows, key = index.with_threads(index.tags)
    joined, found = lookup_join(database, rows, CHECKPOINT, key.equals(CHECKPOINT))
    query = select(found).select_from(joined)
    query = query.where(is_posting(database, index.tags, "source_key", f"source_value_{number}"))
    query = _restricted(query, database, shape, key, found)
    if shape.ends_anywhere:
        return query.order_by(key.checkpoint_id.desc()).limit(_page_size())
    if key.half is None:
        return query.order_by(*[getattr(key, name).desc() for name in ORDER]).limit(_page_size())
    # The index has the order of the halves. Those with the last one all come, and are sorted.
    newest = query.order_by(key.half.desc()).fetch(_page_size(), with_ties=True).subquery(f"newest_{number}")
    return _newest(select(newest), newest)


def _restricted(query: Select[Any], database: str, shape: Shape, key: KeyColumns, checkpoints: FromClause = CHECKPOINT) -> Select[Any]:
    """Add the conditions that every checkpoint of the page satisfies.

    Args:
        query: selects the checkpoints.
        database: the dialect's name.
        shape: the restrictions.
        key: the columns with the keys of the candidates.
        checkpoints: the table with the other columns.
    """
    query = query.where(is_visible(checkpoints), *[getattr(key, name) == bindparam(name) for name in CHECKPOINT_KEY if name in shape.given])
    if "floor" in shape.given:
        query = query.where(key.has_id(">=", bindparam("floor", type_=Text())))
    if "before" in shape.given:
        query = query.where(key.has_id("<", bindparam("before", type_=Text())))
    created = _created_within(database, shape.given, checkpoints)
    # PostgreSQL's planner might read and sort the whole period, in place of a page in the order of the ids.
    in_order = created and database != "sqlite" and shape.source == "checkpoints"
    query = query.where(*([_without_index(and_(*created))] if in_order else created))
    if "after" in shape.given:
        query = query.where(_comes_after(key))
    for number, several in enumerate(shape.required):
        query = query.where(has_posting(database, key, f"has_{number}", several=several))
    return query.where(*[~has_posting(database, key, f"excluded_{number}") for number in range(shape.forbidden)])


def _comes_after(key: KeyColumns) -> ColumnElement[bool]:
    last = [bindparam(f"after_{name}", type_=Text()) for name in ORDER]
    comes_after: ColumnElement[bool] = tuple_(*[getattr(key, name) for name in ORDER]) < tuple_(*last)
    return comes_after if key.half is None else and_(key.half <= Half(last[0]), comes_after)


def _without_index(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """A condition that no planner takes for one on the order of an index."""
    return condition.is_(true())


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
    return query.order_by(*[order.c[name].desc() for name in ORDER]).limit(_page_size())


def _page_size() -> BindParameter[int]:
    return bindparam("page_size", type_=BigInteger)


def count_of_thread(_database: str) -> Select[Any]:
    """How many checkpoints a thread has, counted up to `bound`."""
    return _count(select(literal_column("1")).select_from(CHECKPOINT).where(CHECKPOINT.c.thread_id == bindparam("thread_id")))


def count_of_time(database: str, given: frozenset[str]) -> Select[Any]:
    """How many checkpoints were created within a period (`created_after`, `created_before`), counted up to `bound`."""
    query: Select[Any] = select(literal_column("1")).select_from(CHECKPOINT)
    query = query.where(*_created_within(database, given, CHECKPOINT))
    return _count(query)


def count_off_time(database: str, given: frozenset[str]) -> Select[Any]:
    """How many checkpoints that were created within a period are off time, counted up to `bound`."""
    query: Select[Any] = select(literal_column("1")).select_from(CHECKPOINT).where(_is_off_time(database))
    return _count(query.where(*_created_within(database, given, CHECKPOINT)))


def _is_off_time(database: str) -> TextClause:
    """The condition of the partial index `ckpt_checkpoint_off_time`, for statements that read no other table beside `ckpt_checkpoint`."""
    return text(f"({OFF_TIME['sqlite' if database == 'sqlite' else 'postgresql']})")


def _count(rows: Select[Any]) -> Select[Any]:
    return select(func.count()).select_from(rows.limit(bindparam("bound", type_=BigInteger)).subquery("some"))
