"""Which ids belong to a time: the bounds of Python, and the condition of the databases."""

from __future__ import annotations

import runpy
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.base.id import uuid6

from ckptstore.db.id_times import OFF_TIME, end_of_ids, first_id
from ckptstore.db.migrations_folder import migrations_folder
from ckptstore.db.times import to_microseconds
from tests.support.build import id_at

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 10**17)
#: Near the bounds, and anything.
IDS = st.text(alphabet=st.characters(min_codepoint=1, exclude_categories=["Cs"]), max_size=12) | st.text("0123456789abcdefg-", max_size=9)
CONNECTION = sqlite3.connect(":memory:")


def is_off_time(checkpoint_id: str, created_at: int) -> bool:
    row = CONNECTION.execute(f"SELECT {OFF_TIME['sqlite']} FROM (SELECT ? AS checkpoint_id, ? AS created_at)", (checkpoint_id, created_at))
    return bool(row.fetchone()[0])


@given(IDS, TIMES, TIMES)
def test_what_is_on_time_is_within_the_bounds_of_every_period_of_it(checkpoint_id: str, created_at: int, other: int) -> None:
    for near in (checkpoint_id, first_id(created_at), f"{end_of_ids(created_at)[:-1]}", f"{first_id(created_at)}-{checkpoint_id}"):
        if not is_off_time(near, created_at):
            assert near >= first_id(min(created_at, other))
            assert created_at >= other or near < end_of_ids(other)


@given(TIMES, TIMES)
def test_bounds_are_in_the_order_of_times(one: int, other: int) -> None:
    earlier, later = sorted((one, other))
    assert first_id(earlier) <= first_id(later) < end_of_ids(later)
    assert end_of_ids(earlier) <= end_of_ids(later)
    assert {len(first_id(earlier)), len(end_of_ids(later))} == {8}


def test_an_id_of_langgraph_is_on_time() -> None:
    before = to_microseconds(datetime.now(UTC))
    made = str(uuid6())
    after = to_microseconds(datetime.now(UTC))
    assert first_id(before) <= made < end_of_ids(after)
    assert not is_off_time(made, after)


@pytest.mark.parametrize(
    ("late", "off_time"),
    [(timedelta(), False), (timedelta(seconds=26), False), (timedelta(seconds=54), True), (timedelta(seconds=-27), True)],
)
def test_a_checkpoint_is_on_time_half_a_minute_after_its_id(late: timedelta, off_time: bool) -> None:
    assert is_off_time(id_at(MOMENT), to_microseconds(MOMENT + late)) is off_time


@pytest.mark.parametrize("checkpoint_id", ["", "1", "first", "\U0010ffff", "00000000", "ffffffff"])
def test_what_is_no_uuid_of_its_time_is_off_time(checkpoint_id: str) -> None:
    assert is_off_time(checkpoint_id, to_microseconds(MOMENT))


def test_the_migration_has_the_same_conditions() -> None:
    with migrations_folder() as folder:
        migration = runpy.run_path(str(folder / "versions" / "0012_index_of_ids_off_time.py"))
    assert {"sqlite": migration["ON_SQLITE"], "postgresql": migration["ON_POSTGRESQL"]} == OFF_TIME
