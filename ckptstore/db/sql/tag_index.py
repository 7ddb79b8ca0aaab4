"""How the databases keep tags, as answers to the same questions: of which checkpoint a row is, how rows are joined with threads, and so on.

On SQLite, a row names its thread by a number. On PostgreSQL, it names its key and value by another one, too (`numbered_tags`). Where
PostgreSQL lets nobody create triggers, and on shards, a row has the texts of all of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, FromClause, Select, Table, and_, select

from ckptstore.db.sql.key_columns import KeyColumns, key_in
from ckptstore.db.sql.lookups import OrderedJoin
from ckptstore.db.sql.tables import CHECKPOINT_KEY, POSTING, TAG, TAG_THREAD


class Found(NamedTuple):
    """Rows of the index that a condition leads to."""

    #: What they are read from.
    rows: FromClause
    #: What has their columns.
    tags: FromClause
    conditions: Sequence[ColumnElement[bool]]


class TagIndex:
    """Tags are rows of texts.

    Args:
        database: see `ckptstore.db.sql`.
    """

    #: The table whose rows are tags.
    tags: Table = TAG

    def __init__(self, database: str) -> None:
        self._database = database

    # --- of which tag a row is

    def is_posting(self, rows: FromClause, key: ColumnElement[str], value: ColumnElement[str]) -> ColumnElement[bool]:
        """Whether a row is of a posting."""
        return and_(rows.c.key == key, rows.c.value == value)

    def is_one_of(self, rows: FromClause, key: ColumnElement[str], values: Select[Any]) -> ColumnElement[bool]:
        """Whether a row is of a key, and of one of some values."""
        return and_(rows.c.key == key, rows.c.value.in_(values))

    def with_one_of(self, key: ColumnElement[str], values: Select[Any], _names: Sequence[str]) -> Found:
        """The rows that are of a key, and of one of some values; with at least these columns."""
        return Found(self.tags, self.tags, [self.is_one_of(self.tags, key, values)])

    def within(self, condition: ColumnElement[bool], _names: Sequence[str]) -> Found:
        """The rows whose key and value, as columns of `texts`, satisfy a condition; with at least these columns."""
        return Found(self.tags, self.tags, [condition])

    @property
    def texts(self) -> FromClause:
        """What has the columns `key` and `value` of tags, and perhaps of some that are left of deleted ones."""
        return self.tags

    def is_in_use(self) -> Sequence[ColumnElement[bool]]:
        """The conditions that a row of `texts` is of a tag."""
        return ()

    # --- the checkpoints that have it

    def columns_of(self, names: Sequence[str]) -> list[Column[Any]]:
        """The columns of `tags` that have these columns of the keys of checkpoints."""
        return [self.tags.c[name] for name in names]

    def id_of(self, rows: FromClause) -> ColumnElement[str]:
        """The id of a row's checkpoint."""
        found: ColumnElement[str] = rows.c.checkpoint_id
        return found

    def newest_first(self, rows: FromClause) -> list[ColumnElement[Any]]:
        """The order of the ids of rows that are of one posting."""
        return [rows.c.checkpoint_id.desc()]

    def place_of(self, rows: FromClause) -> ColumnElement[Any]:
        """What the index is in the order of, below each posting: the id of a row's checkpoint, or a part of it that sorts as it does."""
        return self.id_of(rows)

    def text_of_place(self, place: ColumnElement[Any]) -> ColumnElement[str]:
        """The id, or a text that is nearly as great, which the index alone gives."""
        return place

    def has_id(self, rows: FromClause, how: str, checkpoint_id: ColumnElement[str]) -> ColumnElement[bool]:
        """Whether the id of a row's checkpoint is less than another one (`<`), at most that (`<=`), or the same (`=`)."""
        return self.id_of(rows).bool_op(how)(checkpoint_id)

    def is_before(self, rows: FromClause, checkpoint_id: ColumnElement[str]) -> ColumnElement[bool]:
        """Whether the place of a row is before that of an id, or perhaps the same."""
        return self.has_id(rows, "<", checkpoint_id)

    def with_threads(self, rows: FromClause, tags: FromClause | None = None) -> tuple[FromClause, KeyColumns]:
        """Rows joined with what has the keys of their checkpoints; and these keys.

        Args:
            rows: rows of `tags`, or with its columns.
            tags: which of the joined `rows` has these columns, if these are joined.
        """
        return rows, key_in(rows if tags is None else tags)

    def with_number(self, threads: FromClause) -> tuple[FromClause, ColumnElement[int] | None]:
        """Threads that may have tags, for who probes checkpoints of each: with their numbers, if they have some."""
        return threads, None

    def of_checkpoint(self, probe: FromClause, key: KeyColumns) -> tuple[FromClause, Sequence[ColumnElement[bool]]]:
        """What to read rows of `tags` from, and the conditions that they are of a checkpoint."""
        return probe, key.equals(probe)

    def thread_ids(self, found: FromClause) -> Select[str]:
        """The ids of threads, from rows with what `columns_of` says of them."""
        return select(found.c.thread_id)


class NumberedThreads(TagIndex):
    """Tags name their thread by a number (SQLite)."""

    tags = POSTING

    def columns_of(self, names: Sequence[str]) -> list[Column[Any]]:
        """See `TagIndex`."""
        return [self.tags.c["thread_no" if name == "thread_id" else name] for name in names]

    def with_threads(self, rows: FromClause, tags: FromClause | None = None) -> tuple[FromClause, KeyColumns]:
        """See `TagIndex`."""
        tag = rows if tags is None else tags
        joined = OrderedJoin(rows, TAG_THREAD, TAG_THREAD.c.number == tag.c.thread_no)
        return joined, KeyColumns(TAG_THREAD.c.thread_id, tag.c.checkpoint_ns, tag.c.checkpoint_id, tag.c.thread_no)

    def with_number(self, threads: FromClause) -> tuple[FromClause, ColumnElement[int] | None]:
        """See `TagIndex`."""
        return OrderedJoin(threads, TAG_THREAD, TAG_THREAD.c.thread_id == threads.c.thread_id), TAG_THREAD.c.number

    def of_checkpoint(self, probe: FromClause, key: KeyColumns) -> tuple[FromClause, Sequence[ColumnElement[bool]]]:
        """See `TagIndex`."""
        same = [probe.c[name] == getattr(key, name) for name in CHECKPOINT_KEY[1:]]
        if key.thread_no is not None:
            return probe, [*same, probe.c.thread_no == key.thread_no]
        thread = TAG_THREAD.alias("numbered")
        return OrderedJoin(thread, probe, probe.c.thread_no == thread.c.number), [*same, thread.c.thread_id == key.thread_id]

    def thread_ids(self, found: FromClause) -> Select[str]:
        """See `TagIndex`."""
        return select(TAG_THREAD.c.thread_id).select_from(OrderedJoin(found, TAG_THREAD, TAG_THREAD.c.number == found.c.thread_no))
