"""Deleting, copying, and what a deletion needs to know."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Delete,
    Insert,
    Select,
    Table,
    Text,
    Update,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    literal_column,
    null,
    select,
    true,
    tuple_,
    union_all,
    update,
)

from ckptstore.statements.parts import (
    CHANNEL,
    CHECKPOINT,
    CHECKPOINT_KEY,
    SEGMENT,
    TAG,
    TASKS_CHANNEL,
    THREAD,
    WRITE,
    entries_of,
    equal,
    insert_into,
    keys,
    links_of,
    resolved,
    visible,
    with_listing,
)


def lock_thread(database: str) -> Select[Any]:
    """The thread's row, locked until the transaction ends (SQLite's transactions lock everything anyway)."""
    return select(THREAD.c.generation).where(THREAD.c.thread_id == bindparam("thread_id")).with_for_update()


def raise_generation(_database: str) -> Update:
    """Say that values of the thread have gone, and count what is left."""
    return _recounted().values(generation=THREAD.c.generation + 1)


def recount(_database: str) -> Update:
    """Count a thread's checkpoints and their sizes anew."""
    return _recounted()


def _recounted() -> Update:
    of_thread = [CHECKPOINT.c.thread_id == bindparam("thread_id"), visible()]
    count = select(func.count()).select_from(CHECKPOINT).where(*of_thread).scalar_subquery()
    size = select(func.coalesce(cast(func.sum(CHECKPOINT.c.size), BigInteger), literal_column("0"))).where(*of_thread).scalar_subquery()
    return update(THREAD).where(THREAD.c.thread_id == bindparam("thread_id")).values(checkpoints=count, size=size)


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
    given_keys = keys(database, names)
    return delete(table).where(tuple_(*[table.c[name] for name in names]).in_(select(*[given_keys.c[name] for name in names])))


def hide_checkpoints(database: str) -> Update:
    """Mark the given checkpoints as kept for others only."""
    given_keys = keys(database, CHECKPOINT_KEY)
    place = tuple_(*[CHECKPOINT.c[name] for name in CHECKPOINT_KEY])
    return update(CHECKPOINT).where(place.in_(select(*[given_keys.c[name] for name in CHECKPOINT_KEY]))).values(support=true())


def delete_unlinked_channels(database: str) -> Delete:
    """The values of a thread that no checkpoint's `channel_versions` names any more."""
    links = links_of(database, CHECKPOINT.c.channel_versions)
    linked = (
        select(CHECKPOINT.c.checkpoint_ns, links.c.key, links.c.value)
        .select_from(CHECKPOINT.join(links, literal_column("true" if database == "postgresql" else "1")))
        .where(CHECKPOINT.c.thread_id == bindparam("thread_id"))
    )
    place = tuple_(CHANNEL.c.checkpoint_ns, CHANNEL.c.channel, CHANNEL.c.version)
    return delete(CHANNEL).where(CHANNEL.c.thread_id == bindparam("thread_id"), place.not_in(linked))


def delete_unlinked_segments(database: str) -> Delete:
    """The segments of a thread that no value's layout names any more."""
    linked = [
        select(entries.c.value)
        .select_from(table.join(entries, literal_column("true" if database == "postgresql" else "1")))
        .where(table.c.thread_id == bindparam("thread_id"), table.c.segments.is_not(null()))
        for table in (CHANNEL, WRITE)
        for entries in [entries_of(database, table.c.segments)]
    ]
    directly = union_all(*linked).cte("directly")
    this_thread = SEGMENT.c.thread_id == bindparam("thread_id")
    lists = with_listing(database, select(SEGMENT).where(this_thread, SEGMENT.c.digest.in_(select(directly.c.value)))).cte("lists")
    entries = entries_of(database, lists.c.listing)
    by_lists = select(entries.c.value).select_from(lists.join(entries, literal_column("true" if database == "postgresql" else "1")))
    # A null among them would make NOT IN answer with null.
    named = union_all(select(directly.c.value).where(directly.c.value.is_not(null())), by_lists).subquery("named")
    return delete(SEGMENT).where(this_thread, SEGMENT.c.digest.not_in(select(named.c.value)))


def delete_empty_thread(_database: str) -> Delete:
    """The thread's own row, where no checkpoint and no write is left."""
    gone = [~exists().where(table.c.thread_id == THREAD.c.thread_id) for table in (CHECKPOINT, WRITE)]
    return delete(THREAD).where(THREAD.c.thread_id == bindparam("thread_id"), *gone)


def copy_rows(database: str, table: Table) -> Insert:
    """Copy a thread's rows of one table to another thread; rows of the same key there stay."""
    given: dict[str, Any] = {"thread_id": bindparam("target", type_=Text()), "generation": bindparam("generation", type_=BigInteger)}
    columns: list[Any] = [given[c.name].label(c.name) if c.name in given else c for c in table.c]
    source = select(*columns).where(table.c.thread_id == bindparam("thread_id"))
    insert = insert_into(database, table).from_select([c.name for c in table.c], source)
    made: Insert = resolved(insert, table, "keep")
    return made


def checkpoints_with_postings(database: str) -> Select[Any]:
    """The checkpoints that have one of the given postings: (thread, namespace, id)."""
    given_keys = keys(database, ("key", "value"))
    return select(*[TAG.c[name] for name in CHECKPOINT_KEY]).join(given_keys, and_(*equal(TAG, given_keys, ("key", "value"))))


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
    stray = ~exists().where(*equal(CHECKPOINT, WRITE, CHECKPOINT_KEY))
    old = WRITE.c.created_at < bindparam("moment", type_=BigInteger)
    return delete(WRITE).where(WRITE.c.thread_id == bindparam("thread_id"), old, stray)
