"""The tables of `ckptstore.db.tables` as typed ORM models. The key of every per-thread table starts with `thread_id`.

Text keys compare as bytes (collation "C" on PostgreSQL): the newest checkpoint is the greatest id.
Times are integers, microseconds since 1970 in UTC, in the database and `datetime` in Python.

There are no foreign keys (a write may arrive before its checkpoint), so relationships name the columns that they join, and are
view-only. Relationships to checkpoints have only the visible ones.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_
from sqlalchemy.orm import Mapped, column_property, foreign, relationship, remote

from ckptstore.db.channel_links import channel_links
from ckptstore.db.model_base import Base
from ckptstore.db.read_only import read_only
from ckptstore.db.tables import CHANNEL, CHECKPOINT, OBJECT, SEGMENT, TAG, THREAD, WRITE

__all__ = ["Base", "Channel", "Checkpoint", "Segment", "StoredObject", "Tag", "Thread", "Write"]

_PRUNE = "await saver.aprune_by(policy)"
_DELETE = f"await saver.adelete_thread(thread_id), saver.adelete_for_runs(run_ids) or {_PRUNE.removeprefix('await ')}"
_PUT = "await saver.aput(config, checkpoint, metadata, new_versions)"


def _equal(here: FromClause, there: FromClause, *names: str) -> ColumnElement[bool]:
    """The condition of a relationship from `here`: these columns of both are equal."""
    return and_(*[here.c[name] == foreign(there.c[name]) for name in names])


@read_only(write=_PUT, delete="await saver.adelete_thread(thread_id)")
class Thread(Base):
    """One thread, with everything that a listing of threads shows, so that the listing reads no checkpoints."""

    __table__ = THREAD

    thread_id: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    #: Incremented by every deletion of values, so that a put in progress notices that values it refers to may have been deleted.
    generation: Mapped[int]
    #: Number of visible checkpoints.
    checkpoint_count: Mapped[int]
    #: Sum of their `size`, in bytes.
    size: Mapped[int]

    #: Newest first, of all namespaces.
    checkpoints: Mapped[list[Checkpoint]] = relationship(
        primaryjoin=lambda: and_(Thread.thread_id == foreign(Checkpoint.thread_id), Checkpoint.hidden.is_(False)),
        order_by=lambda: [Checkpoint.checkpoint_id.desc(), Checkpoint.checkpoint_ns.desc()],
        viewonly=True,
    )


@read_only(write=_PUT, delete=_DELETE)
class Checkpoint(Base):
    """One checkpoint, without the values of its channels."""

    __table__ = CHECKPOINT

    thread_id: Mapped[str]
    checkpoint_ns: Mapped[str]
    checkpoint_id: Mapped[str]
    parent_checkpoint_id: Mapped[str | None]
    created_at: Mapped[datetime]
    #: LangGraph's version of the checkpoint format (`checkpoint["v"]`).
    format: Mapped[int]
    #: The serialiser's type tag of `body`.
    type: Mapped[str]
    #: The serialised checkpoint without the values that are stored in `ckpt_channel`. Small values (numbers, short texts) are in it.
    body: Mapped[bytes]
    #: channel -> version, both text: the link to `ckpt_channel`. Null where the value is in `body`.
    channel_versions: Mapped[dict[str, str | None]]
    #: LangGraph's and the caller's metadata; plain text, even with an encrypting serialiser.
    metadata_: Mapped[dict[str, Any]] = column_property(CHECKPOINT.c.metadata)
    #: Bytes that this checkpoint added: `body` and the serialised values that changed.
    size: Mapped[int]
    #: Pruned, but kept because a later checkpoint is rebuilt from it: reads skip it, and it has no tags.
    hidden: Mapped[bool]
    #: How many of the versions in `channel_versions` have a row in `ckpt_channel`, or a few less. Null in rows from before revision 0005.
    value_count: Mapped[int | None]
    #: See `ckptstore.values.checksums`. Null in rows from before revision 0005: they are read unchecked.
    checksum: Mapped[int | None]

    thread: Mapped[Thread | None] = relationship(primaryjoin=lambda: foreign(Checkpoint.thread_id) == Thread.thread_id, viewonly=True)
    #: None at the start of a thread, and where the parent was pruned.
    parent: Mapped[Checkpoint | None] = relationship(
        primaryjoin=lambda: and_(
            foreign(Checkpoint.thread_id) == remote(Checkpoint.thread_id),
            foreign(Checkpoint.checkpoint_ns) == remote(Checkpoint.checkpoint_ns),
            foreign(Checkpoint.parent_checkpoint_id) == remote(Checkpoint.checkpoint_id),
            remote(Checkpoint.hidden).is_(False),
        ),
        viewonly=True,
    )
    #: Oldest first; several where the thread was forked.
    children: Mapped[list[Checkpoint]] = relationship(
        primaryjoin=lambda: and_(
            Checkpoint.thread_id == remote(foreign(Checkpoint.thread_id)),
            Checkpoint.checkpoint_ns == remote(foreign(Checkpoint.checkpoint_ns)),
            Checkpoint.checkpoint_id == remote(foreign(Checkpoint.parent_checkpoint_id)),
            remote(Checkpoint.hidden).is_(False),
        ),
        order_by=lambda: remote(Checkpoint.checkpoint_id),
        viewonly=True,
    )
    #: In the order in which LangGraph applies them.
    writes: Mapped[list[Write]] = relationship(
        primaryjoin=lambda: _equal(CHECKPOINT, WRITE, "thread_id", "checkpoint_ns", "checkpoint_id"),
        order_by=lambda: [Write.task_path, Write.task_id, Write.idx],
        viewonly=True,
    )
    #: No index finds a checkpoint's tags: loading them reads the whole table. `metadata_` has the same information.
    tags: Mapped[list[Tag]] = relationship(
        primaryjoin=lambda: _equal(CHECKPOINT, TAG, "thread_id", "checkpoint_ns", "checkpoint_id"),
        order_by=lambda: [Tag.key, Tag.value],
        viewonly=True,
    )
    #: The values that have rows of their own, by name of the channel. The others are in `body`.
    channels: Mapped[list[Channel]] = relationship(
        secondary=lambda: _LINKS,
        primaryjoin=lambda: _equal(CHECKPOINT, _LINKS, "thread_id", "checkpoint_ns", "checkpoint_id"),
        secondaryjoin=lambda: _equal(CHANNEL, _LINKS, "thread_id", "checkpoint_ns", "channel", "version"),
        order_by=lambda: Channel.channel,
        viewonly=True,
    )


_LINKS: FromClause = channel_links(CHECKPOINT)


@read_only(write=_PUT, delete=_PRUNE)
class Channel(Base):
    """One version of one channel's value, shared by every checkpoint whose `channel_versions` names it."""

    __table__ = CHANNEL

    thread_id: Mapped[str]
    checkpoint_ns: Mapped[str]
    channel: Mapped[str]
    version: Mapped[str]
    type: Mapped[str]
    #: Bytes of the serialised value.
    size: Mapped[int]
    #: The bytes of the serialised value that are stored in the row: all of them where `layout` is null.
    value: Mapped[bytes | None]
    #: How to assemble the value, see `ckptstore.records.Layout`.
    layout: Mapped[list[str | int | None] | None]
    #: See `Checkpoint.checksum`.
    checksum: Mapped[int | None]


@read_only(write=_PUT, delete=_PRUNE)
class Segment(Base):
    """A part of a value, stored once per thread under its digest: in this row or in the blob backend."""

    __table__ = SEGMENT

    thread_id: Mapped[str]
    #: The first 160 bits of the SHA-256 of the bytes before encoding, in URL-safe base64.
    digest: Mapped[str]
    #: Bytes before encoding.
    size: Mapped[int]
    #: `raw`, `zstd`, `zstd-messages` (with the dictionary of that name), or `list`: a JSON array of the digests of other
    #: segments.
    encoding: Mapped[str]
    data: Mapped[bytes | None]
    object_key: Mapped[str | None]


@read_only(write="await saver.aput_writes(config, writes, task_id)", delete=_DELETE)
class Write(Base):
    """One write of one task, pending until the next checkpoint. It may arrive before its checkpoint does."""

    __table__ = WRITE

    thread_id: Mapped[str]
    checkpoint_ns: Mapped[str]
    checkpoint_id: Mapped[str]
    task_id: Mapped[str]
    #: Position among the task's writes; negative for LangGraph's special channels.
    idx: Mapped[int]
    task_path: Mapped[str]
    channel: Mapped[str]
    created_at: Mapped[datetime]
    type: Mapped[str]
    size: Mapped[int]
    value: Mapped[bytes | None]
    layout: Mapped[list[str | int | None] | None]
    #: See `Checkpoint.checksum`.
    checksum: Mapped[int | None]

    #: None where the write arrived before its checkpoint, or the checkpoint was pruned.
    checkpoint: Mapped[Checkpoint | None] = relationship(
        primaryjoin=lambda: and_(
            foreign(Write.thread_id) == Checkpoint.thread_id,
            foreign(Write.checkpoint_ns) == Checkpoint.checkpoint_ns,
            foreign(Write.checkpoint_id) == Checkpoint.checkpoint_id,
            Checkpoint.hidden.is_(False),
        ),
        viewonly=True,
    )


@read_only(write="await saver.blobs.put(data)", delete="await saver.acollect()")
class StoredObject(Base):
    """One object in the blob backend. It is registered before its upload, so that a crash leaves no object without a row."""

    __table__ = OBJECT

    key: Mapped[str]
    #: SHA-256 of the object's content, in hexadecimal.
    digest: Mapped[str]
    #: Bytes of the object's content.
    size: Mapped[int]
    created_at: Mapped[datetime]
    #: `pending` (registered, perhaps not uploaded yet), `live`, `marked` (nothing refers to it) or `deleting`.
    state: Mapped[str]
    #: When a writer last confirmed it, or the collector changed its state. Grace periods start here.
    changed_at: Mapped[datetime]


@read_only(write="await saver.arebuild_tags()", delete="await saver.arebuild_tags()")
class Tag(Base):
    """The inverted index of metadata: (key path, typed value) -> checkpoint, newest last. On SQLite a view, see `ckptstore.db.tables`."""

    __table__ = TAG

    key: Mapped[str]
    value: Mapped[str]
    checkpoint_id: Mapped[str]
    thread_id: Mapped[str]
    checkpoint_ns: Mapped[str]
