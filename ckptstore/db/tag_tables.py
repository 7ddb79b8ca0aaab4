"""The tables behind `ckpt_tag` where it is a view, and the views that `ckptstore.queries` reads.

Only migrations create any of them. `ckptstore.db.sql.tag_layouts` says which database has which.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Identity, Index, Integer, MetaData, Table, Text, UniqueConstraint, Uuid
from sqlalchemy.types import UserDefinedType

from ckptstore.db.tables import CLUSTERED, METADATA, TAG, Key, always, key


class MacAddress8(UserDefinedType[str]):
    """PostgreSQL's type of eight bytes with the alignment of four, which sorts as the hexadecimal text of its bytes does."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        """Its name."""
        return "macaddr8"


def _number(name: str) -> Column[Any]:
    return Column(name, Integer, Identity(minvalue=1, cycle=True), primary_key=True)


#: On SQLite, `ckpt_tag` is a view of the following two tables: a tag names its thread by a number.
ON_SQLITE = MetaData()

TAG_THREAD = Table("ckpt_tag_thread", ON_SQLITE, key("number", Integer), always("thread_id", Text, unique=True))

POSTING = Table(
    "ckpt_tag_posting",
    ON_SQLITE,
    key("key", Text),
    key("value", Text),
    key("checkpoint_id", Text),
    Column("thread_no", Integer, primary_key=True, autoincrement=False),
    key("checkpoint_ns", Text),
    **CLUSTERED,
)

#: On PostgreSQL, where triggers can be created, `ckpt_tag` is a view of the following tables: a tag names its key and value by a number,
#: too. See `ckptstore.db.sql.numbered_tags`.
ON_POSTGRESQL = MetaData()

TAG_VALUE = Table(
    "ckpt_tag_value",
    ON_POSTGRESQL,
    _number("number"),
    always("key", Key),
    always("value", Key),
    UniqueConstraint("key", "value", name="ckpt_tag_value_key"),
)

TAG_THREAD_NUMBER = Table(
    "ckpt_tag_thread",
    ON_POSTGRESQL,
    _number("number"),
    always("thread_id", Key),
    UniqueConstraint("thread_id", name="ckpt_tag_thread_key"),
)

NUMBERED_POSTING = Table(
    "ckpt_tag_posting",
    ON_POSTGRESQL,
    always("value_no", Integer),
    always("half", MacAddress8),
    always("thread_no", Integer),
    # One of the two is null: the first one if the checkpoint's id is no UUID, as PostgreSQL writes UUIDs.
    Column("checkpoint_uuid", Uuid(as_uuid=False)),
    Column("checkpoint_id", Key),
    # Null for the root graph.
    Column("checkpoint_ns", Key),
    Index("ckpt_tag_posting_newest", "value_no", "half", "thread_no"),
)

#: Whoever deletes tags notes their values here (a trigger does): where no other tag has one, it is to be deleted.
TAG_VALUE_LEFT = Table(
    "ckpt_tag_value_left", ON_POSTGRESQL, always("value_no", Integer), Index("ckpt_tag_value_left_by_number", "value_no")
)

#: Tags as `ckptstore.queries` reads them, in every database: a view.
TAG_SEARCH = Table(
    "ckpt_tag_search",
    MetaData(),
    *[Column(each.name, Key) for each in TAG.c],
    Column("value_no", Integer),
    Column("half", MacAddress8),
    Column("half_of_id", MacAddress8),
    Column("thread_no", Integer),
)

#: The numbers of keys and values, in every database: a view, without rows where they have none.
TAG_NUMBER = Table("ckpt_tag_number", MetaData(), Column("key", Key), Column("value", Key), Column("number", Integer))

#: The tables that a SQLite file has.
TABLES_OF_FILE = (*[table for table in METADATA.sorted_tables if table is not TAG], *ON_SQLITE.sorted_tables)


def names_in(*, on_sqlite: bool, numbers_tags: bool) -> list[str]:
    """The names of the tables of a database.

    Args:
        on_sqlite: whether it is a SQLite file.
        numbers_tags: whether it is one of PostgreSQL where `ckpt_tag` is a view.
    """
    others = ON_SQLITE if on_sqlite else ON_POSTGRESQL
    own = {*METADATA.tables} if not (on_sqlite or numbers_tags) else {*METADATA.tables, *others.tables} - {TAG.name}
    return sorted(own)
