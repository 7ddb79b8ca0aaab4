"""What happens to each thread of a source: it is new at the target, unchanged, to be brought up to date, or something else is there."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import SEGMENT
from ckptstore.transfer.own_source import rows_of
from ckptstore.transfer.parcel import Parcel, SourceThread, TargetThread, stamp_of
from ckptstore.transfer.reading import marks_of
from ckptstore.transfer.remembered import Remembered, remembered
from ckptstore.transfer.row_hash import hash_of_marks


class Decision(Enum):
    """What to do with a thread."""

    #: It is not at the target.
    NEW = auto()
    #: An earlier run brought it, and neither side has changed since.
    UNCHANGED = auto()
    #: An earlier run brought it, and the source has changed since.
    UPDATE = auto()
    #: It is at the target for another reason, or was changed there.
    COMPARE = auto()


def decide(thread: SourceThread, origin: str, row: Mapping[str, Any] | None, known: Remembered | None) -> Decision:
    """Decide about a thread.

    Args:
        thread: as it is at the source.
        origin: of the source, see `remembered.origin_of`.
        row: its row at the target; None if it is not there.
        known: what the target remembers of an earlier run.
    """
    if row is None:
        return Decision.NEW
    if known is None or known.target != stamp_of(row) or known.origin != origin:
        return Decision.COMPARE
    return Decision.UNCHANGED if known.source == thread.stamp else Decision.UPDATE


def decide_all(db: Db, threads: list[SourceThread], origin: str) -> list[Decision]:
    """Decide about some threads, on the target's database."""
    ids = [thread.thread_id for thread in threads]
    with db.snapshot():
        rows = rows_of(db, ids)
        known = remembered(db, rows)
    return [decide(thread, origin, rows.get(thread.thread_id), known.get(thread.thread_id)) for thread in threads]


def existing_thread(db: Db, thread_id: str, *, mirror: bool) -> TargetThread | None:
    """A thread as it is at the target; None if it is not there any more."""
    db.expect_long()
    hashes: set[int] = set()
    segments: set[int] = set()
    with db.snapshot():
        row = rows_of(db, [thread_id]).get(thread_id)
        if row is None:
            return None
        for table in sql.transfer.THREAD_TABLES:
            found = segments if table is SEGMENT else hashes
            for page in marks_of(db, thread_id, table):
                found.update(hash_of_marks(table.name, thread_id, (*marks.key, marks.bytes, marks.checksum)) for marks in page)
    return TargetThread(stamp_of(row), frozenset(hashes), frozenset(segments), mirror)


class Comparison(Enum):
    """How a thread of the target compares with the source's."""

    SAME = auto()
    #: All that the target has is at the source, which has more.
    BEHIND = auto()
    #: The target has something that the source does not have.
    DIFFERENT = auto()


def compare(parcel: Parcel) -> Comparison:
    """Compare a thread that is at the target with the source's, which was read."""
    assert parcel.existing is not None
    if parcel.existing.hashes - parcel.seen:
        return Comparison.DIFFERENT
    return Comparison.BEHIND if parcel.rows else Comparison.SAME
