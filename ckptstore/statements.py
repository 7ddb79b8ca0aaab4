"""Every statement, named for what it does. They are pure: each function builds a statement and runs nothing.

The first argument is always the database's name (`sqlite` or `postgresql`); lists of keys travel as one JSON array on
SQLite and as one array a column on PostgreSQL, so that a statement's text never depends on how many there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    CompoundSelect,
    Delete,
    FromClause,
    GenerativeSelect,
    Insert,
    Select,
    Table,
    Text,
    Update,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from ckptstore.models import Channel, Checkpoint, Segment, Tag, Thread, Write

THREAD: Table = Thread.__table__  # type: ignore[assignment]
CHECKPOINT: Table = Checkpoint.__table__  # type: ignore[assignment]
CHANNEL: Table = Channel.__table__  # type: ignore[assignment]
SEGMENT: Table = Segment.__table__  # type: ignore[assignment]
WRITE: Table = Write.__table__  # type: ignore[assignment]
TAG: Table = Tag.__table__  # type: ignore[assignment]

#: LangGraph's channel of pending `Send`s, which formats before 4 kept as writes of the parent.
TASKS_CHANNEL = "__pregel_tasks"

_CHECKPOINT_KEY = ("thread_id", "checkpoint_ns", "checkpoint_id")
_VERSION_KEY = ("thread_id", "checkpoint_ns", "channel", "version")
MISSING_CHANNELS_KEY = (*_CHECKPOINT_KEY, "channel", "version")


# --- lists of keys as one parameter ---------------------------------------------------------------------------------


def _keys(database: str, names: Sequence[str]) -> FromClause:
    """A table of keys, from the parameters that `key_parameters` makes."""
    if database == "sqlite":
        rows = func.json_each(bindparam("keys", type_=Text)).table_valued("value", name="given")
        columns = [func.json_extract(rows.c.value, f"$[{place}]").label(name) for place, name in enumerate(names)]
        return select(*columns).subquery("keys")
    return _unnest("keys", [(name, Text()) for name in names])


def key_parameters(database: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> dict[str, Any]:
    """The parameters of a statement that takes a table of keys."""
    if database == "sqlite":
        return {"keys": json.dumps([list(row) for row in rows])}
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return {f"keys_{name}": list(column) for name, column in zip(names, columns, strict=True)}


def _unnest(prefix: str, columns: Sequence[tuple[str, Any]]) -> FromClause:
    arrays = [bindparam(f"{prefix}_{name}", type_=postgresql.ARRAY(type_)) for name, type_ in columns]
    return func.unnest(*arrays).table_valued(*[Column(name, type_) for name, type_ in columns], name=prefix).render_derived()


# --- writing --------------------------------------------------------------------------------------------------------


def _insert(database: str, table: Table) -> Any:
    return sqlite.insert(table) if database == "sqlite" else postgresql.insert(table)


def _resolved(insert: Any, table: Table, conflict: str) -> Any:
    """`keep` the earlier row, `replace` it, or `touch` the time of its last activity."""
    keys = [column.name for column in table.primary_key]
    if conflict == "keep":
        return insert.on_conflict_do_nothing(index_elements=keys)
    if conflict == "touch":
        later = case((insert.excluded.updated_at > table.c.updated_at, insert.excluded.updated_at), else_=table.c.updated_at)
        return insert.on_conflict_do_update(index_elements=keys, set_={"updated_at": later})
    others = {column.name: insert.excluded[column.name] for column in table.c if column.name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=others)


def insert_rows(database: str, table: Table, conflict: str) -> Insert:
    """Insert rows with the table's columns, in their order: one row a run on SQLite, arrays on PostgreSQL."""
    insert = _insert(database, table)
    if database == "sqlite":
        insert = insert.values({column.name: bindparam(column.name, type_=_wire(column)) for column in table.c})
    else:
        rows = _unnest(table.name, [(column.name, _wire(column)) for column in table.c])
        insert = insert.from_select([column.name for column in table.c], select(*rows.c))
    resolved: Insert = _resolved(insert, table, conflict)
    return resolved


def _wire(column: Column[Any]) -> Any:
    """The type that a driver is given: JSON travels as text, times as integers."""
    if isinstance(column.type, JSON):
        return JSON() if column.type.__class__ is JSON else column.type
    return BigInteger() if column.type.__class__.__name__ == "UtcMicroseconds" else column.type


def row_parameters(table: Table, rows: Sequence[Sequence[Any]], prefix: str | None = None) -> dict[str, Any]:
    """The parameters of an `insert_rows` on PostgreSQL: an array a column."""
    columns = list(zip(*rows, strict=True)) or [()] * len(table.c)
    return {f"{prefix or table.name}_{column.name}": list(values) for column, values in zip(table.c, columns, strict=True)}


def commit_batch(database: str, parts: frozenset[str]) -> GenerativeSelect:
    """A whole batch in one statement (PostgreSQL): returns the keys of the checkpoints that went in.

    One snapshot serves all of its parts. A checkpoint stays out, with its channels and tags, when its id is there
    already (the careful way replaces it), when a channel that it carries over is not stored, or when a deletion got
    in between: the upsert of its thread then sees another generation than the snapshot does.

    Args:
        database: its name.
        parts: which of `checkpoints`, `kept_writes` and `replaced_writes` the batch has; each costs its parameters.
    """
    threads = _insert_cte(THREAD, THREAD.name, "touch", THREAD.c.thread_id, THREAD.c.created_at, THREAD.c.generation)
    writes = [_insert_cte(WRITE, name, conflict) for name, conflict in WRITE_PARTS.items() if name in parts]
    if "checkpoints" not in parts:
        nothing = [cast(null(), Text).label(name) for name in _CHECKPOINT_KEY]
        return select(*nothing).where(false()).add_cte(threads, *writes)
    inserted = _insert_checkpoints(threads)
    return select(*inserted.c).add_cte(_insert_of(CHANNEL, inserted, "replace"), _insert_of(TAG, inserted, "keep"), *writes)


#: Parts of a batch that are rows of `ckpt_write`, and what happens to a row that is there.
WRITE_PARTS = {"kept_writes": "keep", "replaced_writes": "replace"}


def _insert_checkpoints(threads: CTE) -> CTE:
    seen = select(THREAD.c.thread_id, THREAD.c.created_at, THREAD.c.generation).subquery("seen")
    same = and_(seen.c.created_at == threads.c.created_at, seen.c.generation == threads.c.generation)
    settled = (
        select(threads.c.thread_id)
        .select_from(threads.outerjoin(seen, seen.c.thread_id == threads.c.thread_id))
        .where(or_(seen.c.thread_id.is_(None), same))
        .cte("settled")
    )
    carried = _unnest("carried", [(name, Text()) for name in MISSING_CHANNELS_KEY])
    stored = exists().where(*_equal(CHANNEL, carried, _VERSION_KEY))
    lacking = select(*[carried.c[name] for name in _CHECKPOINT_KEY]).where(~stored).cte("lacking")
    rows = _unnest(CHECKPOINT.name, [(column.name, _wire(column)) for column in CHECKPOINT.c])
    wanted = select(*rows.c).where(
        exists().where(settled.c.thread_id == rows.c.thread_id),
        ~exists().where(*_equal(lacking, rows, _CHECKPOINT_KEY)),
    )
    insert = postgresql.insert(CHECKPOINT).from_select([column.name for column in CHECKPOINT.c], wanted)
    kept: CTE = _resolved(insert, CHECKPOINT, "keep").returning(*[CHECKPOINT.c[name] for name in _CHECKPOINT_KEY]).cte("inserted")
    return kept


def _insert_cte(table: Table, name: str, conflict: str, *returning: Column[Any]) -> CTE:
    rows = _unnest(name, [(column.name, _wire(column)) for column in table.c])
    insert = _resolved(postgresql.insert(table).from_select([c.name for c in table.c], select(*rows.c)), table, conflict)
    cte: CTE = (insert.returning(*returning) if returning else insert).cte(f"new_{name}")
    return cte


def _insert_of(table: Table, inserted: CTE, conflict: str) -> CTE:
    """Insert what belongs to the checkpoints that went in; channel rows carry their checkpoint's id for this alone."""
    columns = [(column.name, _wire(column)) for column in table.c]
    if "checkpoint_id" not in table.c:
        columns.append(("checkpoint_id", Text()))
    rows = _unnest(table.name, columns)
    wanted = select(*[rows.c[column.name] for column in table.c]).where(exists().where(*_equal(inserted, rows, _CHECKPOINT_KEY)))
    insert = _resolved(postgresql.insert(table).from_select([c.name for c in table.c], wanted), table, conflict)
    cte: CTE = insert.cte(f"new_{table.name}")
    return cte


def _equal(one: FromClause, other: FromClause, names: Iterable[str]) -> list[ColumnElement[bool]]:
    return [one.c[name] == other.c[name] for name in names]


def missing_channels(database: str) -> Select[Any]:
    """Of the channel versions given as keys, those that are not stored, with the checkpoint that carries them."""
    keys = _keys(database, MISSING_CHANNELS_KEY)
    return select(*[keys.c[name] for name in MISSING_CHANNELS_KEY]).where(~exists().where(*_equal(CHANNEL, keys, _VERSION_KEY)))


def metadata_of(database: str) -> Select[Any]:
    """Key and metadata of those of the given checkpoints that exist."""
    keys = _keys(database, _CHECKPOINT_KEY)
    columns = [CHECKPOINT.c[name] for name in _CHECKPOINT_KEY]
    return select(*columns, cast(CHECKPOINT.c.metadata, Text)).join(keys, and_(*_equal(CHECKPOINT, keys, _CHECKPOINT_KEY)))


CHECKPOINT_KEY = _CHECKPOINT_KEY


# --- reading whole checkpoints --------------------------------------------------------------------------------------


def newest(_database: str) -> Select[Any]:
    """The newest checkpoint of one namespace: ids sort by time."""
    return (
        select(CHECKPOINT)
        .where(CHECKPOINT.c.thread_id == bindparam("thread_id"), CHECKPOINT.c.checkpoint_ns == bindparam("checkpoint_ns"), _visible())
        .order_by(CHECKPOINT.c.checkpoint_id.desc())
        .limit(literal_column("1"))
    )


def exact(_database: str) -> Select[Any]:
    """One checkpoint by its key."""
    return select(CHECKPOINT).where(*[CHECKPOINT.c[name] == bindparam(name) for name in _CHECKPOINT_KEY], _visible())


def _visible() -> ColumnElement[bool]:
    return CHECKPOINT.c.support.is_(false())


def page(database: str, given: frozenset[str], tags: int) -> Select[Any]:
    """Up to `page_size` checkpoints, newest first, that satisfy what is given.

    Args:
        database: its name.
        given: which of `thread_id`, `checkpoint_ns`, `checkpoint_id`, `before`, `after` and `driver` restrict it. `after` is the
            key of the last checkpoint seen; with `driver` the first tag leads, else the checkpoints do.
        tags: how many postings every checkpoint must have, as the parameters `key_0`, `value_0`, `key_1`, ...
    """
    leads = TAG if "driver" in given else CHECKPOINT
    query = select(CHECKPOINT).where(_visible())
    if "driver" in given:
        query = query.select_from(TAG.join(CHECKPOINT, and_(*_equal(TAG, CHECKPOINT, _CHECKPOINT_KEY))))
        query = query.where(TAG.c.key == bindparam("key_0"), TAG.c.value == bindparam("value_0"))
    for number in range(1 if "driver" in given else 0, tags):
        probe = TAG.alias(f"tag_{number}")
        has = [probe.c.key == bindparam(f"key_{number}"), probe.c.value == bindparam(f"value_{number}")]
        query = query.where(exists().where(*has, *_equal(probe, leads, _CHECKPOINT_KEY)))
    query = query.where(*[leads.c[name] == bindparam(name) for name in _CHECKPOINT_KEY if name in given])
    if "before" in given:
        query = query.where(leads.c.checkpoint_id < bindparam("before"))
    order = [leads.c.checkpoint_id, leads.c.thread_id, leads.c.checkpoint_ns]
    if "after" in given:
        last = [bindparam(f"after_{name}", type_=Text()) for name in ("checkpoint_id", "thread_id", "checkpoint_ns")]
        query = query.where(tuple_(*order) < tuple_(*last))
    return query.order_by(*[column.desc() for column in order]).limit(bindparam("page_size", type_=BigInteger))


KIND_CHECKPOINT, KIND_CHANNEL, KIND_WRITE, KIND_PARENT_SEND = range(4)


def whole(database: str, target: Select[Any]) -> CompoundSelect[Any]:
    """Checkpoints with their channels and writes, in one statement and so in one snapshot.

    Each row starts with its kind and the key of its checkpoint; a channel version that several checkpoints share
    comes once. Columns: kind, thread_id, checkpoint_ns, checkpoint_id, four texts, a number, type, bytes.
    """
    wanted = target.cte("target")
    links = _links(database, wanted.c.channel_versions)
    versions = (
        select(wanted.c.thread_id, wanted.c.checkpoint_ns, links.c.key.label("channel"), links.c.value.label("version"))
        .select_from(wanted.join(links, literal_column("true" if database == "postgresql" else "1")))
        .distinct()
        .cte("versions")
    )
    checkpoints = _row(
        KIND_CHECKPOINT,
        [wanted.c[name] for name in _CHECKPOINT_KEY],
        [wanted.c.parent_checkpoint_id, cast(wanted.c.channel_versions, Text), cast(wanted.c.metadata, Text)],
        wanted.c.format,
        [wanted.c.type, wanted.c.body],
    )
    channels = _row(
        KIND_CHANNEL,
        [CHANNEL.c.thread_id, CHANNEL.c.checkpoint_ns, cast(null(), Text)],
        [CHANNEL.c.channel, CHANNEL.c.version, cast(null(), Text)],
        cast(null(), BigInteger),
        [CHANNEL.c.type, CHANNEL.c.value],
    ).select_from(versions.join(CHANNEL, and_(*_equal(CHANNEL, versions, _VERSION_KEY))))
    writes = _writes(KIND_WRITE).select_from(wanted.join(WRITE, and_(*_equal(WRITE, wanted, _CHECKPOINT_KEY))))
    sends = (
        _writes(KIND_PARENT_SEND)
        .select_from(
            wanted.join(
                WRITE,
                and_(
                    *_equal(WRITE, wanted, ("thread_id", "checkpoint_ns")),
                    WRITE.c.checkpoint_id == wanted.c.parent_checkpoint_id,
                    WRITE.c.channel == literal_column(f"'{TASKS_CHANNEL}'"),
                ),
            )
        )
        .where(wanted.c.format < literal_column("4"))
    )
    return union_all(checkpoints, channels, writes, sends)


def _links(database: str, versions: ColumnElement[Any]) -> FromClause:
    each = func.json_each(versions) if database == "sqlite" else func.json_each_text(versions)
    links = each.table_valued(Column("key", Text), Column("value", Text), name="links")
    return links if database == "sqlite" else links.render_derived().lateral()


def _writes(kind: int) -> Select[Any]:
    return _row(
        kind,
        [WRITE.c[name] for name in _CHECKPOINT_KEY],
        [WRITE.c.task_id, WRITE.c.channel, WRITE.c.task_path],
        WRITE.c.idx,
        [WRITE.c.type, WRITE.c.value],
    )


def _row(kind: int, key: Sequence[Any], texts: Sequence[Any], number: Any, value: Sequence[Any]) -> Select[Any]:
    return select(literal_column(str(kind)), *key, *texts, number, *value)


def newest_whole(database: str) -> CompoundSelect[Any]:
    """The newest checkpoint of a namespace, whole."""
    return whole(database, newest(database))


def exact_whole(database: str) -> CompoundSelect[Any]:
    """One checkpoint by its key, whole."""
    return whole(database, exact(database))


def page_whole(database: str, given: frozenset[str], tags: int) -> CompoundSelect[Any]:
    """A page of checkpoints, whole: one statement, however many there are."""
    return whole(database, page(database, given, tags))


def count_of_tag(_database: str) -> Select[Any]:
    """How many checkpoints have a posting, counted up to `bound`: enough to know which of several is the rarest."""
    some = (
        select(literal_column("1"))
        .select_from(TAG)
        .where(TAG.c.key == bindparam("key"), TAG.c.value == bindparam("value"))
        .limit(bindparam("bound", type_=BigInteger))
        .subquery("some")
    )
    return select(func.count()).select_from(some)


def count_of_thread(_database: str) -> Select[Any]:
    """How many checkpoints a thread has, counted up to `bound`."""
    some = (
        select(literal_column("1"))
        .select_from(CHECKPOINT)
        .where(CHECKPOINT.c.thread_id == bindparam("thread_id"))
        .limit(bindparam("bound", type_=BigInteger))
        .subquery("some")
    )
    return select(func.count()).select_from(some)


# --- the way back through a thread ----------------------------------------------------------------------------------


def ancestors(_database: str) -> Select[Any]:
    """A checkpoint and its ancestors by parent links, up to `page_size`: id, parent, versions. A cycle ends the walk."""
    columns = (CHECKPOINT.c.checkpoint_id, CHECKPOINT.c.parent_checkpoint_id, cast(CHECKPOINT.c.channel_versions, Text).label("versions"))
    place = [CHECKPOINT.c.thread_id == bindparam("thread_id"), CHECKPOINT.c.checkpoint_ns == bindparam("checkpoint_ns")]
    first = select(*columns).where(*place, CHECKPOINT.c.checkpoint_id == bindparam("checkpoint_id"))
    walk = first.cte("walk", recursive=True)
    # UNION, not UNION ALL: a row that comes again is dropped, which is what ends a cycle.
    walk = walk.union(select(*columns).where(*place, CHECKPOINT.c.checkpoint_id == walk.c.parent_checkpoint_id))
    return select(*walk.c).limit(bindparam("page_size", type_=BigInteger))


def newest_id(_database: str) -> Select[Any]:
    """The id of the newest checkpoint of a namespace."""
    place = [CHECKPOINT.c.thread_id == bindparam("thread_id"), CHECKPOINT.c.checkpoint_ns == bindparam("checkpoint_ns")]
    return select(func.max(CHECKPOINT.c.checkpoint_id)).where(*place, _visible())


def stored_among(database: str) -> Select[Any]:
    """Of the channel versions given as keys, those that have a value: (channel, version)."""
    keys = _keys(database, _VERSION_KEY)
    return select(CHANNEL.c.channel, CHANNEL.c.version).join(keys, and_(*_equal(CHANNEL, keys, _VERSION_KEY)))


def channel_values(database: str) -> Select[Any]:
    """Type and bytes of the channel versions given as keys."""
    keys = _keys(database, _VERSION_KEY)
    return select(CHANNEL.c.channel, CHANNEL.c.version, CHANNEL.c.type, CHANNEL.c.value).join(
        keys, and_(*_equal(CHANNEL, keys, _VERSION_KEY))
    )


def stored_versions(_database: str) -> Select[Any]:
    """Namespace, channel and version of every stored value of a thread."""
    return select(CHANNEL.c.checkpoint_ns, CHANNEL.c.channel, CHANNEL.c.version).where(CHANNEL.c.thread_id == bindparam("thread_id"))


def channel_writes(database: str) -> Select[Any]:
    """The writes to the channels given, at the checkpoints given: keys are (thread, namespace, checkpoint, channel)."""
    keys = _keys(database, (*_CHECKPOINT_KEY, "channel"))
    joined = WRITE.join(keys, and_(*_equal(WRITE, keys, (*_CHECKPOINT_KEY, "channel"))))
    return select(
        WRITE.c.checkpoint_id, WRITE.c.task_path, WRITE.c.task_id, WRITE.c.idx, WRITE.c.channel, WRITE.c.type, WRITE.c.value
    ).select_from(joined)


CHANNEL_WRITES_KEY = (*_CHECKPOINT_KEY, "channel")
VERSION_KEY = _VERSION_KEY


# --- deleting and copying -------------------------------------------------------------------------------------------


def lock_thread(database: str) -> Select[Any]:
    """The thread's row, locked until the transaction ends (SQLite's transactions lock everything anyway)."""
    return select(THREAD.c.generation).where(THREAD.c.thread_id == bindparam("thread_id")).with_for_update()


def raise_generation(_database: str) -> Update:
    """Say that values of the thread have gone."""
    return update(THREAD).where(THREAD.c.thread_id == bindparam("thread_id")).values(generation=THREAD.c.generation + 1)


def thread_nodes(_database: str) -> Select[Any]:
    """What a deletion needs to know of a thread's checkpoints: never a payload."""
    c = CHECKPOINT.c
    return (
        select(
            c.checkpoint_ns,
            c.checkpoint_id,
            c.parent_checkpoint_id,
            cast(c.created_at, BigInteger),
            c.format,
            cast(c.channel_versions, Text),
            cast(c.metadata, Text),
            c.support,
        )
        .where(c.thread_id == bindparam("thread_id"))
        .order_by(c.checkpoint_ns, c.checkpoint_id)
    )


def checkpoints_with_sends(_database: str) -> Select[Any]:
    """Namespace and id of the thread's checkpoints whose writes hold `Send`s."""
    sends = WRITE.c.channel == literal_column(f"'{TASKS_CHANNEL}'")
    return select(WRITE.c.checkpoint_ns, WRITE.c.checkpoint_id).where(WRITE.c.thread_id == bindparam("thread_id"), sends).distinct()


def delete_thread_rows(_database: str, table: Table) -> Delete:
    """Every row of a thread in one table."""
    return delete(table).where(table.c.thread_id == bindparam("thread_id"))


def delete_keys(database: str, table: Table, names: tuple[str, ...]) -> Delete:
    """The rows whose columns equal one of the given keys."""
    keys = _keys(database, names)
    return delete(table).where(tuple_(*[table.c[name] for name in names]).in_(select(*[keys.c[name] for name in names])))


def hide_checkpoints(database: str) -> Update:
    """Mark the given checkpoints as kept for others only."""
    keys = _keys(database, _CHECKPOINT_KEY)
    place = tuple_(*[CHECKPOINT.c[name] for name in _CHECKPOINT_KEY])
    return update(CHECKPOINT).where(place.in_(select(*[keys.c[name] for name in _CHECKPOINT_KEY]))).values(support=true())


def delete_unlinked_channels(database: str) -> Delete:
    """The values of a thread that no checkpoint's `channel_versions` names any more."""
    links = _links(database, CHECKPOINT.c.channel_versions)
    linked = (
        select(CHECKPOINT.c.checkpoint_ns, links.c.key, links.c.value)
        .select_from(CHECKPOINT.join(links, literal_column("true" if database == "postgresql" else "1")))
        .where(CHECKPOINT.c.thread_id == bindparam("thread_id"))
    )
    place = tuple_(CHANNEL.c.checkpoint_ns, CHANNEL.c.channel, CHANNEL.c.version)
    return delete(CHANNEL).where(CHANNEL.c.thread_id == bindparam("thread_id"), place.not_in(linked))


def delete_empty_thread(_database: str) -> Delete:
    """The thread's own row, where no checkpoint and no write is left."""
    gone = [~exists().where(table.c.thread_id == THREAD.c.thread_id) for table in (CHECKPOINT, WRITE)]
    return delete(THREAD).where(THREAD.c.thread_id == bindparam("thread_id"), *gone)


def copy_rows(database: str, table: Table) -> Insert:
    """Copy a thread's rows of one table to another thread; rows of the same key there stay."""
    columns: list[Any] = [bindparam("target", type_=Text()).label("thread_id") if c.name == "thread_id" else c for c in table.c]
    source = select(*columns).where(table.c.thread_id == bindparam("thread_id"))
    insert = _insert(database, table).from_select([c.name for c in table.c], source)
    resolved: Insert = _resolved(insert, table, "keep")
    return resolved


def checkpoints_with_postings(database: str) -> Select[Any]:
    """The checkpoints that have one of the given postings: (thread, namespace, id)."""
    keys = _keys(database, ("key", "value"))
    return select(*[TAG.c[name] for name in _CHECKPOINT_KEY]).join(keys, and_(*_equal(TAG, keys, ("key", "value"))))


def threads_with_older(_database: str) -> Select[Any]:
    """Ids of the threads that hold a checkpoint or a write from before `moment`, in order, after `after`."""
    found = [
        select(table.c.thread_id).where(
            table.c.created_at < bindparam("moment", type_=BigInteger), table.c.thread_id > bindparam("after", type_=Text())
        )
        for table in (CHECKPOINT, WRITE)
    ]
    both = found[0].union(found[1]).subquery("older")
    return select(both.c.thread_id).order_by(both.c.thread_id).limit(bindparam("page_size", type_=BigInteger))


def delete_stray_writes(_database: str) -> Delete:
    """A thread's writes from before `moment` whose checkpoint is not there."""
    stray = ~exists().where(*_equal(CHECKPOINT, WRITE, _CHECKPOINT_KEY))
    old = WRITE.c.created_at < bindparam("moment", type_=BigInteger)
    return delete(WRITE).where(WRITE.c.thread_id == bindparam("thread_id"), old, stray)
