"""The tables of the tag index, and a model of what they hold together.

A row of `ckpt_tag` is in the order of a search: its value, then the id of its checkpoint. It names both the value and the owner, a
thread's namespace, by number, since these texts recur in every row.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Index, PrimaryKeyConstraint, Select, Table, UniqueConstraint, select
from sqlalchemy.orm import Mapped

from ckptstore.db.model_base import CLUSTERED, Base, Key, Number
from ckptstore.db.read_only import read_only
from ckptstore.db.tag_ids import Order, id_text

#: The only index that PostgreSQL has of `TAG`.
TAG_INDEX = "ckpt_tag_newest"

_REBUILD = "await saver.arebuild_tags()"

#: The keys and values that tags have or had: each once.
TAG_VALUE = Table(
    "ckpt_tag_value",
    Base.metadata,
    Column("id", Number, Identity(), primary_key=True),
    Column("key", Key, nullable=False),
    Column("value", Key, nullable=False),
    UniqueConstraint("key", "value", name="ckpt_tag_value_key"),
)

#: Whose tags they are: a namespace of a thread, or one checkpoint in it, see `own_id`.
TAG_OWNER = Table(
    "ckpt_tag_owner",
    Base.metadata,
    Column("id", Number, Identity(), primary_key=True),
    Column("thread_id", Key, nullable=False),
    Column("checkpoint_ns", Key, nullable=False),
    Column("own_id", Key, nullable=False),
    UniqueConstraint("thread_id", "checkpoint_ns", "own_id", name="ckpt_tag_owner_key"),
)

#: The postings. Who inserts one holds the lock of its thread, so none is there twice, though PostgreSQL has no unique index: it would be
#: three times as large.
TAG = Table(
    "ckpt_tag",
    Base.metadata,
    Column("value_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id_order", Order, primary_key=True, autoincrement=False),
    Column("id_rest", BigInteger, primary_key=True, autoincrement=False),
    Column("owner_id", BigInteger, primary_key=True, autoincrement=False),
    Index(TAG_INDEX, "value_id", "id_order").ddl_if(dialect="postgresql"),
    PrimaryKeyConstraint("value_id", "id_order", "id_rest", "owner_id", name="ckpt_tag_pkey").ddl_if(dialect="sqlite"),
    **CLUSTERED,
)


def whole_tags() -> Select[str, str, str, str, str]:
    """Tags with their texts: key, value, and the thread, namespace and id of the checkpoint."""
    checkpoint_id = id_text(TAG.c.id_order, TAG.c.id_rest, TAG_OWNER.c.own_id).label("checkpoint_id")
    columns = (TAG_VALUE.c.key, TAG_VALUE.c.value, checkpoint_id, TAG_OWNER.c.thread_id, TAG_OWNER.c.checkpoint_ns)
    joined = TAG.join(TAG_VALUE, TAG.c.value_id == TAG_VALUE.c.id).join(TAG_OWNER, TAG.c.owner_id == TAG_OWNER.c.id)
    return select(*columns).select_from(joined)


_WHOLE_TAGS = whole_tags().subquery("tags")


@read_only(write=_REBUILD, delete=_REBUILD)
class Tag(Base):
    """One entry of the inverted index of metadata: (key path, typed value) -> checkpoint. Joined from its three tables."""

    __table__ = _WHOLE_TAGS
    __mapper_args__ = {"primary_key": [*_WHOLE_TAGS.c]}  # noqa: RUF012  # read by SQLAlchemy

    key: Mapped[str]
    value: Mapped[str]
    checkpoint_id: Mapped[str]
    thread_id: Mapped[str]
    checkpoint_ns: Mapped[str]
