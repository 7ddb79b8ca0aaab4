"""What a transaction of a transfer finds changed, it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db.sql.tables import TAG
from ckptstore.transfer.parcel import Parcel, SourceThread, TargetThread, ThreadTimes
from ckptstore.transfer.writing import Attempt, ObjectsGone, StoreParcel, ThreadChanged
from tests.support.rows import Rows
from tests.support.transfers import fill, rows_of

THREAD = SourceThread("t", [1], 1, 1, 1)


def parcel(**parts: object) -> Parcel:
    made = Parcel([THREAD], times={"t": ThreadTimes(1, 2)})
    for name, part in parts.items():
        setattr(made, name, part)
    made.add(TAG, ("key", "value", "c", "t", ""), 0)
    made.spool.end()
    return made


@pytest.fixture
def saver(lasting_url: str) -> SQLAlchemySaver:
    saver = SQLAlchemySaver.from_conn_string(lasting_url)
    fill(saver, threads=1, blobs=False)
    return saver


def store(saver: SQLAlchemySaver, one: Parcel) -> StoreParcel:
    work = StoreParcel(one, Attempt("attempt", "here", frozenset(), 5))
    saver.store.runner.write(work).result()
    return work


def test_a_new_thread_has_its_times_and_counters(saver: SQLAlchemySaver) -> None:
    with saver:
        one = parcel(counters={"t": (3, 4)})
        work = store(saver, one)
        (row,) = [row for row in Rows.of(saver).tables["ckpt_thread"] if row["thread_id"] == "t"]
        assert (row["checkpoint_count"], row["size"]) == (3, 4)
        assert work.stamps == {"t": [row["generation"], 3, 4, 2]}
        assert store(saver, one).stamps == work.stamps


@pytest.mark.parametrize("existing", [None, TargetThread([5, 1, 1, 1], frozenset(), frozenset(), mirror=False)])
def test_a_thread_that_changed_is_left_alone(saver: SQLAlchemySaver, existing: TargetThread | None) -> None:
    with saver:
        before = rows_of(saver)
        one = parcel(existing=existing, threads=[THREAD._replace(thread_id="t0")], times={"t0": ThreadTimes(1, 2)})
        with pytest.raises(ThreadChanged):
            store(saver, one)
        assert rows_of(saver) == before


def test_an_object_that_is_being_deleted_is_named(saver: SQLAlchemySaver, tmp_path: Path) -> None:
    with saver:
        before = rows_of(saver)
        with pytest.raises(ObjectsGone) as gone:
            store(saver, parcel(object_keys={"ab/cd"}))
        assert gone.value.keys == ["ab/cd"]
        assert rows_of(saver) == before
