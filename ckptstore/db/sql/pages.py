"""Pages of a listing of checkpoints, found through the index that yields the fewest candidates."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import (
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
    union_all,
)

from ckptstore.db.sql.checkpoints import whole
from ckptstore.db.sql.lookups import equal_columns, hidden_value, is_visible, lookup_join, namespaces_of_thread
from ckptstore.db.sql.postings import Owned, Place, collected, given_value, has_posting, owned, place_of_checkpoint, place_of_tag
from ckptstore.db.sql.tables import CHECKPOINT, CHECKPOINT_KEY, TAG
from ckptstore.db.tag_ids import id_order
from ckptstore.records import StateFormat

# The greatest 64-bit integer.
_END_OF_TIME = 2**63 - 1

#: The order of a listing, newest first.
ORDER = ("checkpoint_id", "thread_id", "checkpoint_ns")

# What the restrictions on ids mean for the order of the tags: necessary, not sufficient.
_BOUNDS = {
    "floor": TAG.c.id_order >= id_order(bindparam("floor", type_=Text())),
    "before": TAG.c.id_order <= id_order(bindparam("before", type_=Text())),
    "after": TAG.c.id_order <= id_order(bindparam("after_checkpoint_id", type_=Text())),
}


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
        query = _restricted(select(CHECKPOINT), database, shape, CHECKPOINT, place_of_checkpoint(CHECKPOINT))
        if "thread_id" not in shape.given:
            # The condition of the partial index `ckpt_checkpoint_newest`, without which it is not used.
            query = query.where(CHECKPOINT.c.checkpoint_id > literal_column("''"))
    elif shape.source == "time":
        query = _restricted(select(CHECKPOINT), database, shape, CHECKPOINT, place_of_checkpoint(CHECKPOINT))
    else:
        candidates = collected(database, shape.source)
        joined, found = _checkpoints_at(database, owned(database, candidates, candidates))
        return _newest(_restricted(select(found).select_from(joined), database, shape, found, place_of_tag(candidates)), found)
    return _newest(query, CHECKPOINT)


def _page_of_thread(database: str, shape: Shape) -> Select[Any]:
    """A page of a thread's checkpoints: each namespace is in the order of the ids, the whole thread is not."""
    namespaces = namespaces_of_thread()
    each = CHECKPOINT.alias("each")
    query = select(each).where(*equal_columns(each, namespaces, ("thread_id", "checkpoint_ns")))
    newest = _newest(_restricted(query, database, shape._replace(given=shape.given - {"thread_id"}), each, place_of_checkpoint(each)), each)
    if database == "postgresql":
        found = newest.correlate(namespaces).lateral("found")
        return _newest(select(found).select_from(namespaces.join(found, literal_column("true"))), found)
    ids = newest.with_only_columns(each.c.checkpoint_id).correlate(namespaces)
    in_namespace = [*equal_columns(CHECKPOINT, namespaces, ("thread_id", "checkpoint_ns")), CHECKPOINT.c.checkpoint_id.in_(ids)]
    return _newest(select(CHECKPOINT).select_from(namespaces.join(CHECKPOINT, and_(*in_namespace))), CHECKPOINT)


def _stream(database: str, shape: Shape, number: int) -> Select[Any]:
    named = owned(database, TAG, TAG)
    joined, found = _checkpoints_at(database, named)
    query = select(found).select_from(joined).where(TAG.c.value_id == given_value("source", f"_{number}"))
    # Looked at before the checkpoint is read: the conditions on its own columns decide.
    query = query.where(*[getattr(named, name) == bindparam(name) for name in ("thread_id", "checkpoint_ns") if name in shape.given])
    query = query.where(*[within for name, within in _BOUNDS.items() if name in shape.given])
    query = _restricted(query, database, shape, found, place_of_tag(TAG))
    return _newest(query.order_by(TAG.c.id_order.desc()), found)


def _checkpoints_at(database: str, tags: Owned) -> tuple[FromClause, FromClause]:
    """The checkpoints that tags are of, see `lookup_join`."""
    return lookup_join(database, tags.joined, CHECKPOINT, [CHECKPOINT.c[name] == getattr(tags, name) for name in CHECKPOINT_KEY])


def _restricted(query: Select[Any], database: str, shape: Shape, checkpoints: FromClause, place: Place) -> Select[Any]:
    """Add the conditions that every checkpoint of the page satisfies.

    Args:
        query: selects the checkpoints.
        database: the dialect's name.
        shape: the restrictions.
        checkpoints: the table with their columns.
        place: where their tags are.
    """
    c = checkpoints.c
    query = query.where(is_visible(checkpoints), *[c[name] == bindparam(name) for name in CHECKPOINT_KEY if name in shape.given])
    if "floor" in shape.given:
        query = query.where(c.checkpoint_id >= bindparam("floor"))
    if "before" in shape.given:
        query = query.where(c.checkpoint_id < bindparam("before"))
    query = query.where(*_created_within(database, shape.given, checkpoints))
    if "after" in shape.given:
        last = [bindparam(f"after_{name}", type_=Text()) for name in ORDER]
        query = query.where(tuple_(*[c[name] for name in ORDER]) < tuple_(*last))
    for number, several in enumerate(shape.required):
        query = query.where(has_posting(database, place, f"has_{number}", several=several))
    return query.where(*[~has_posting(database, place, f"excluded_{number}") for number in range(shape.forbidden)])


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
