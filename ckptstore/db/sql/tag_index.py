"""How the databases keep tags, as answers to the same questions: of which checkpoint a row is, how rows are joined with threads, and so on.

On PostgreSQL, a row has the texts of all of that. On SQLite, it names its thread by a number.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, FromClause, Select, Table, select

from ckptstore.db.sql.key_columns import KeyColumns, key_in
from ckptstore.db.sql.lookups import OrderedJoin
from ckptstore.db.sql.tables import CHECKPOINT_KEY, POSTING, TAG, TAG_THREAD


class TagIndex:
    """Tags are rows of texts."""

    #: The table whose rows are tags.
    tags: Table = TAG

    def columns_of(self, names: Sequence[str]) -> list[ColumnElement[object]]:
        """The columns of `tags` that have these columns of the keys of checkpoints."""
        return [self.tags.c[name] for name in names]

    def with_threads(self, rows: FromClause) -> tuple[FromClause, KeyColumns]:
        """Rows of `tags`, or with its columns, joined with what has the keys of their checkpoints; and these keys."""
        return rows, key_in(rows)

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

    def columns_of(self, names: Sequence[str]) -> list[ColumnElement[object]]:
        """See `TagIndex`."""
        return [self.tags.c["thread_no" if name == "thread_id" else name] for name in names]

    def with_threads(self, rows: FromClause) -> tuple[FromClause, KeyColumns]:
        """See `TagIndex`."""
        joined = OrderedJoin(rows, TAG_THREAD, TAG_THREAD.c.number == rows.c.thread_no)
        return joined, KeyColumns(TAG_THREAD.c.thread_id, rows.c.checkpoint_ns, rows.c.checkpoint_id, rows.c.thread_no)

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


_OF_TEXTS, _ON_SQLITE = TagIndex(), NumberedThreads()


def index_of(database: str) -> TagIndex:
    """How a database keeps tags."""
    return _ON_SQLITE if database == "sqlite" else _OF_TEXTS
