"""Tags as PostgreSQL keeps them where triggers can be created: rows of numbers, in place of the texts of their key, value and thread.

Key and value are in `ckpt_tag_value` once, the thread's id in `ckpt_tag_thread`. A row has the numbers of both, the checkpoint's id as a
UUID, and the half of it (`tag_ids`). The index has the numbers and the half: 16 bytes, up to which PostgreSQL fills its pages.
`docs/decisions/0007-tags-name-threads-by-numbers.md` has the reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Select, Text, and_, any_, cast, func, literal_column, select

from ckptstore.db.sql.key_columns import KeyColumns
from ckptstore.db.sql.lookups import exists_for_row, lookup_join
from ckptstore.db.sql.tables import NUMBERED_POSTING, TAG_THREAD, TAG_VALUE
from ckptstore.db.sql.tag_ids import Half
from ckptstore.db.sql.tag_index import Found, TagIndex

_ONE: ColumnElement[int] = literal_column("1")
_ROOT: ColumnElement[str] = literal_column("''", Text())
# What `with_threads` reads of a row for the key of its checkpoint.
_OF_CHECKPOINT = ("half", "thread_no", "checkpoint_uuid", "checkpoint_id", "checkpoint_ns")


class NumberedTags(TagIndex):
    """Tags name their key, their value and their thread by numbers."""

    tags = NUMBERED_POSTING

    def is_posting(self, rows: FromClause, key: ColumnElement[str], value: ColumnElement[str]) -> ColumnElement[bool]:
        """See `TagIndex`."""
        number = select(TAG_VALUE.c.number).where(TAG_VALUE.c.key == key, TAG_VALUE.c.value == value)
        is_same: ColumnElement[bool] = rows.c.value_no == number.correlate_except(TAG_VALUE).scalar_subquery()
        return is_same

    def _numbers(self, key: ColumnElement[str], values: Select[Any]) -> tuple[FromClause, FromClause]:
        """The numbers of some values of a key, each looked up by itself."""
        given = values.subquery()
        same = [TAG_VALUE.c.key == key, TAG_VALUE.c.value == given.c[0]]
        return lookup_join(self._database, given, TAG_VALUE, same, ["number"])

    def with_one_of(self, key: ColumnElement[str], values: Select[Any], names: Sequence[str]) -> Found:
        """See `TagIndex`."""
        numbers, value = self._numbers(key, values)
        rows, tags = lookup_join(self._database, numbers, self.tags, [self.tags.c.value_no == value.c.number], names)
        return Found(rows, tags, ())

    def is_one_of(self, rows: FromClause, key: ColumnElement[str], values: Select[Any]) -> ColumnElement[bool]:
        """See `TagIndex`."""
        numbers, value = self._numbers(key, values)
        # An array, which is made once: PostgreSQL might join with a query.
        found = func.array(select(value.c.number).select_from(numbers).scalar_subquery())
        is_among: ColumnElement[bool] = rows.c.value_no == any_(found)
        return is_among

    def within(self, condition: ColumnElement[bool], names: Sequence[str]) -> Found:
        """See `TagIndex`."""
        numbers = select(TAG_VALUE.c.number).where(condition).subquery("numbers")
        rows, tags = lookup_join(self._database, numbers, self.tags, [self.tags.c.value_no == numbers.c.number], names)
        return Found(rows, tags, ())

    @property
    def texts(self) -> FromClause:
        """See `TagIndex`."""
        return TAG_VALUE

    def is_in_use(self) -> Sequence[ColumnElement[bool]]:
        """See `TagIndex`."""
        return [exists_for_row(self._database, select(_ONE).select_from(self.tags).where(self.tags.c.value_no == TAG_VALUE.c.number))]

    def columns_of(self, names: Sequence[str]) -> list[Column[Any]]:
        """See `TagIndex`."""
        return [self.tags.c[name] for name in (("thread_no",) if names == ("thread_id",) else _OF_CHECKPOINT)]

    def id_of(self, rows: FromClause) -> ColumnElement[str]:
        """See `TagIndex`."""
        return func.coalesce(cast(rows.c.checkpoint_uuid, Text()), rows.c.checkpoint_id)

    def newest_first(self, rows: FromClause) -> list[ColumnElement[Any]]:
        """See `TagIndex`."""
        return [rows.c.half.desc(), self.id_of(rows).desc()]

    def place_of(self, rows: FromClause) -> ColumnElement[Any]:
        """See `TagIndex`."""
        half: ColumnElement[Any] = rows.c.half
        return half

    def text_of_place(self, place: ColumnElement[Any]) -> ColumnElement[str]:
        """See `TagIndex`."""
        digits = func.replace(cast(place, Text()), literal_column("':'"), literal_column("''"))
        parts = [
            func.substr(digits, literal_column(str(start)), literal_column(str(length))) for start, length in ((1, 8), (9, 4), (13, 4))
        ]
        return func.concat_ws(literal_column("'-'"), *parts, type_=Text())

    def has_id(self, rows: FromClause, how: str, checkpoint_id: ColumnElement[str]) -> ColumnElement[bool]:
        """See `TagIndex`."""
        bound = rows.c.half.bool_op({"<": "<="}.get(how, how))(Half(checkpoint_id))
        return and_(bound, super().has_id(rows, how, checkpoint_id))

    def is_before(self, rows: FromClause, checkpoint_id: ColumnElement[str]) -> ColumnElement[bool]:
        """See `TagIndex`."""
        is_older: ColumnElement[bool] = rows.c.half <= Half(checkpoint_id)
        return is_older

    def with_threads(self, rows: FromClause, tags: FromClause | None = None) -> tuple[FromClause, KeyColumns]:
        """See `TagIndex`."""
        tag = rows if tags is None else tags
        joined, thread = lookup_join(self._database, rows, TAG_THREAD, [TAG_THREAD.c.number == tag.c.thread_no], ["thread_id"])
        return joined, KeyColumns(thread.c.thread_id, namespace_of(tag), self.id_of(tag), tag.c.thread_no, tag.c.half)

    def with_number(self, threads: FromClause) -> tuple[FromClause, ColumnElement[int] | None]:
        """See `TagIndex`."""
        joined, thread = lookup_join(self._database, threads, TAG_THREAD, [TAG_THREAD.c.thread_id == threads.c.thread_id], ["number"])
        return joined, thread.c.number

    def of_checkpoint(self, probe: FromClause, key: KeyColumns) -> tuple[FromClause, Sequence[ColumnElement[bool]]]:
        """See `TagIndex`."""
        number = key.thread_no
        if number is None:
            number = (
                select(TAG_THREAD.c.number).where(TAG_THREAD.c.thread_id == key.thread_id).correlate_except(TAG_THREAD).scalar_subquery()
            )
        half = Half(key.checkpoint_id) if key.half is None else key.half
        same = [self.id_of(probe) == key.checkpoint_id, namespace_of(probe) == key.checkpoint_ns]
        return probe, [probe.c.half == half, probe.c.thread_no == number, *same]

    def thread_ids(self, found: FromClause) -> Select[str]:
        """See `TagIndex`."""
        joined, thread = lookup_join(self._database, found, TAG_THREAD, [TAG_THREAD.c.number == found.c.thread_no], ["thread_id"])
        return select(thread.c.thread_id).select_from(joined)


def namespace_of(rows: FromClause) -> ColumnElement[str]:
    """The namespace of a row's checkpoint."""
    return func.coalesce(rows.c.checkpoint_ns, _ROOT)
