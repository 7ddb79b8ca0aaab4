"""The arithmetic of growth: what the model says of a store whose figures are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scale.measured import Frozen, Load, Measured, Part
from benchmarks.scale.model import Prices, error_of, levels, predict
from benchmarks.scale.page import BEGIN, END, document, replace_between

LOAD = Load(
    per_second=500.0, log_bytes=4_000.0, page_images=0.5, commits=0.1, updates={"ckpt_thread": 2.0}, hot_updates={"ckpt_thread": 1.9}
)


def store(checkpoints: int, bytes_each: int = 1_000) -> Measured:
    """A store of one table with one index, each row of which takes 80 bytes."""
    parts = {
        "ckpt_checkpoint": Part("ckpt_checkpoint", checkpoints, checkpoints * bytes_each),
        "ckpt_checkpoint_pkey": Part("ckpt_checkpoint", checkpoints, checkpoints * 80),
    }
    slow = Load(50.0, 8_000.0, 1.0, 2.0, {}, {})
    return Measured(checkpoints, parts, {1: slow, 50: LOAD}, vacuum_seconds=1.0, freeze_seconds=36.0)


def test_a_larger_store_has_as_many_bytes_for_each_checkpoint() -> None:
    found = predict(store(1_000), 1_000_000, steps_per_second=2_000.0)
    assert found.bytes == 1_080 * 1_000_000
    assert found.bytes_of["ckpt_checkpoint_pkey"] == 80_000_000
    assert found.servers_for_bytes(10**9) == 2


def test_the_load_is_that_of_many_tasks() -> None:
    found = predict(store(1_000), 1_000_000, steps_per_second=2_000.0)
    assert found.log_bytes_per_second == 8_000_000
    assert found.log_bytes_with_images == 8_000_000 + 2_000 * 4_096
    assert found.commits_per_second == 200.0
    assert found.servers_for_steps == 4
    assert found.days_to_freeze == pytest.approx(200_000_000 / 200 / 86_400)


@pytest.mark.parametrize(("rows", "expected"), [(1, 1), (100, 1), (101, 2), (10_000, 2), (10_001, 3), (10**8, 4)])
def test_levels_of_an_index_whose_pages_have_a_hundred_rows(rows: int, expected: int) -> None:
    assert levels(rows, 81.92) == expected


def test_costs_are_storage_and_cores() -> None:
    found = predict(store(1_000), 10**9, 1.0)
    assert found.dollars_a_month(Prices(gigabyte=0.1, core=50.0), servers=3, cores=2) == pytest.approx(108.0 + 300.0)


def test_the_error_is_relative_to_what_was_measured() -> None:
    assert error_of(110.0, 100.0) == pytest.approx(0.1)
    assert error_of(90.0, 100.0) == pytest.approx(-0.1)


def test_the_page_checks_the_largest_size_against_the_one_before() -> None:
    made = document({"machine": "this one"}, [store(100), store(1_000, 900), store(10_000, 1_000)], 2, Prices())
    assert "- machine: this one" in made
    assert "Made from the 1,000 checkpoints, and checked against the 10,000" in made
    assert "| all tables and indexes | 9.80 | 10.8 | -9.3% |" in made
    assert "| checkpoints | 10,000,000 | 100,000,000 | 1,000,000,000 |" in made
    assert "| tables and indexes, TB | 0.0108 | 0.108 | 1.08 |" in made


def test_a_single_size_is_not_checked() -> None:
    assert "nothing to check" in document({}, [store(100)], 2, Prices())


def test_the_page_has_what_freezing_takes_where_it_was_measured() -> None:
    assert "of all" not in document({}, [store(100)], 2, Prices())
    frozen = Frozen(seconds=2.5, log_bytes=50_000, page_images=10, pages=400, revision="0012", load_average=7.25)
    made = document({}, [store(100), replace(store(1_000), freeze_all=frozen)], 2, Prices())
    assert "| VACUUM (FREEZE) of all, s |  | 2.50 |" in made
    assert "| its log for each checkpoint, bytes |  | 50 |" in made
    assert "| load average of the machine before that |  | 7.25 |" in made
    assert "| of a schema of revision |  | 0012 |" in made


@pytest.mark.parametrize("frozen", [None, Frozen(2.5, 50_000, 10, 400, "0012", 7.25)])
def test_a_record_survives_json(frozen: Frozen | None) -> None:
    measured = replace(store(100), freeze_all=frozen)
    record = measured.to_dict()
    record["loads"] = {str(tasks): load for tasks, load in record["loads"].items()}
    assert Measured.from_dict(record) == measured


def test_the_tables_of_a_document_are_replaced() -> None:
    assert replace_between(f"before\n{BEGIN}\nold\n{END}\nafter", "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter"
    with pytest.raises(ValueError, match="no lines"):
        replace_between("nothing", "new")
