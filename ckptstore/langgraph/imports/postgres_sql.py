"""Statements on the tables of LangGraph's PostgresSaver, and of its shallow variant, which has one checkpoint per namespace."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB

_META = MetaData()
_NAMED = ("thread_id", "checkpoint_ns", "checkpoint_id")


def _texts(*names: str) -> list[Column[Any]]:
    return [Column(name, Text) for name in names]


_CHECKPOINTS = Table("checkpoints", _META, *_texts(*_NAMED, "parent_checkpoint_id"), Column("checkpoint", JSONB), Column("metadata", JSONB))
_BLOBS = Table("checkpoint_blobs", _META, *_texts("thread_id", "checkpoint_ns", "channel", "version", "type"), Column("blob", LargeBinary))
_WRITES = Table(
    "checkpoint_writes",
    _META,
    *_texts(*_NAMED, "task_id", "task_path", "channel", "type"),
    Column("idx", Integer),
    Column("blob", LargeBinary),
)


class Layout(NamedTuple):
    """Which tables they are."""

    shallow: bool
    has_task_path: bool


def _checkpoint_id(layout: Layout) -> ColumnElement[Any]:
    return _CHECKPOINTS.c.checkpoint["id"].astext if layout.shallow else _CHECKPOINTS.c.checkpoint_id


def page_of_threads(_database: str, layout: Layout) -> Select[Any]:
    """The next threads: id, number of checkpoints, last transaction that wrote one, greatest id; number of writes, last transaction."""
    page = (
        select(
            _CHECKPOINTS.c.thread_id,
            func.count().label("checkpoints"),
            _last_transaction(_CHECKPOINTS).label("last"),
            func.max(_checkpoint_id(layout)).label("newest"),
        )
        .where(_CHECKPOINTS.c.thread_id > bindparam("after", type_=Text()))
        .group_by(_CHECKPOINTS.c.thread_id)
        .order_by(_CHECKPOINTS.c.thread_id)
        .limit(bindparam("page_size", type_=BigInteger))
        .subquery("page")
    )
    of_thread = _WRITES.c.thread_id == page.c.thread_id
    count = select(func.count()).select_from(_WRITES).where(of_thread).scalar_subquery()
    last = select(func.coalesce(_last_transaction(_WRITES), literal_column("0"))).where(of_thread).scalar_subquery()
    return select(*page.c, count, last).order_by(page.c.thread_id)


def _last_transaction(table: Table) -> ColumnElement[Any]:
    xmin: ColumnElement[Any] = literal_column(f"{table.name}.xmin")
    return func.max(cast(cast(xmin, Text), BigInteger))


def metadata_of_thread(_database: str) -> Select[Any]:
    """The metadata of a thread's checkpoints, as JSON."""
    return select(cast(_CHECKPOINTS.c.metadata, Text)).where(_of_thread(_CHECKPOINTS))


def _of_thread(table: Table) -> ColumnElement[bool]:
    return table.c.thread_id == bindparam("thread_id", type_=Text())


def _between(*key: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """Whether a key is from the parameters `first_<number>` to `last_<number>`."""

    def bound(prefix: str) -> Any:
        return tuple_(*[bindparam(f"{prefix}_{number}", type_=each.type) for number, each in enumerate(key)])

    return [tuple_(*key) >= bound("first"), tuple_(*key) <= bound("last")]


def _bytes(column: ColumnElement[Any]) -> ColumnElement[int]:
    return func.coalesce(func.length(column), literal_column("0"))


# --- checkpoints


def checkpoint_sizes(_database: str, layout: Layout) -> Select[Any]:
    """Namespace and id of a thread's checkpoints in their order, and bytes of each."""
    key = (_CHECKPOINTS.c.checkpoint_ns, _checkpoint_id(layout))
    return select(*key, _bytes(cast(_CHECKPOINTS.c.checkpoint, Text))).where(_of_thread(_CHECKPOINTS)).order_by(*key)


def checkpoints(_database: str, layout: Layout) -> Select[Any]:
    """Checkpoints between two keys: namespace, id, parent's id, checkpoint and metadata as JSON."""
    key = (_CHECKPOINTS.c.checkpoint_ns, _checkpoint_id(layout))
    given: ColumnElement[Any] = _CHECKPOINTS.c.parent_checkpoint_id
    parent: ColumnElement[Any] = literal_column("NULL") if layout.shallow else func.nullif(given, literal_column("''"))
    columns = (*key, cast(parent, Text), cast(_CHECKPOINTS.c.checkpoint, Text), cast(_CHECKPOINTS.c.metadata, Text))
    return select(*columns).where(_of_thread(_CHECKPOINTS), *_between(*key)).order_by(*key)


# --- values


def _version(layout: Layout) -> ColumnElement[Any]:
    """The version of a value. A shallow saver keeps only that of the checkpoint."""
    if not layout.shallow:
        return _BLOBS.c.version
    same = [_CHECKPOINTS.c[name] == _BLOBS.c[name] for name in ("thread_id", "checkpoint_ns")]
    return select(cast(_CHECKPOINTS.c.checkpoint["channel_versions"], JSONB)[_BLOBS.c.channel].astext).where(*same).scalar_subquery()


def _blob_key(layout: Layout) -> tuple[ColumnElement[Any], ...]:
    key = (_BLOBS.c.checkpoint_ns, _BLOBS.c.channel)
    return key if layout.shallow else (*key, _BLOBS.c.version)


def blob_sizes(_database: str, layout: Layout) -> Select[Any]:
    """The keys of a thread's values in their order, and bytes of each."""
    key = _blob_key(layout)
    return select(*key, _bytes(_BLOBS.c.blob)).where(_of_thread(_BLOBS)).order_by(*key)


def blobs(_database: str, layout: Layout) -> Select[Any]:
    """Values between two keys: namespace, an empty id, channel, version, type tag, bytes."""
    key = _blob_key(layout)
    no_id: ColumnElement[Any] = cast(literal_column("''"), Text)
    columns = (_BLOBS.c.checkpoint_ns, no_id, _BLOBS.c.channel, _version(layout), _BLOBS.c.type, _BLOBS.c.blob)
    return select(*columns).where(_of_thread(_BLOBS), *_between(*key)).order_by(*key)


# --- writes


def _write_key() -> tuple[ColumnElement[Any], ...]:
    return tuple(_WRITES.c[name] for name in ("checkpoint_ns", "checkpoint_id", "task_id", "idx"))


def write_sizes(_database: str, _layout: Layout) -> Select[Any]:
    """The keys of a thread's writes in their order, and bytes of each."""
    key = _write_key()
    return select(*key, _bytes(_WRITES.c.blob)).where(_of_thread(_WRITES)).order_by(*key)


def writes(_database: str, layout: Layout) -> Select[Any]:
    """Writes between two keys: namespace, checkpoint id, task id, idx, task path, channel, type tag, bytes."""
    key = _write_key()
    path: ColumnElement[Any] = _WRITES.c.task_path if layout.has_task_path else cast(literal_column("''"), Text)
    columns = (*key, path, _WRITES.c.channel, _WRITES.c.type, _WRITES.c.blob)
    return select(*columns).where(_of_thread(_WRITES), *_between(*key)).order_by(*key)
