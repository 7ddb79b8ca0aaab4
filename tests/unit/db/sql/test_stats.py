"""Statements that measure a store."""

from __future__ import annotations

import re

import pytest

from ckptstore.db.sql import stats
from tests.support.statements import compiled


def test_totals_read_the_rows_of_threads_only(kind: str) -> None:
    for build in (stats.totals, stats.largest_threads, stats.every_nth_thread):
        assert compiled(kind, build(kind)).tables == {"ckpt_thread"}


@pytest.mark.parametrize("name", ["values", "writes", "segments", "objects", "bodies"])
def test_a_sample_looks_rows_up_and_takes_the_sizes_of_their_values(kind: str, name: str) -> None:
    found = compiled(kind, getattr(stats, f"{name}_of_threads")(kind))
    assert found.parameters == {"threads"}
    assert ("LATERAL" in found.text) == (kind == "postgresql")
    chosen = found.text.partition(" FROM ")[0]
    for column in ("value", "data", "body"):
        assert len(re.findall(rf"\.{column}\b", chosen)) == len(re.findall(rf"length\([a-z_]+\.{column}\)", chosen))


def test_growth_without_bytes_needs_an_index_only(kind: str) -> None:
    found = compiled(kind, stats.checkpoints_by_day(kind))
    assert found.parameters == {"since"}
    assert set(found.text.split("ckpt_checkpoint.")[1:][0].split()) & {"created_at"}
    assert "hidden" not in found.text
    assert "size" in compiled(kind, stats.bytes_by_day(kind)).text


@pytest.mark.parametrize(("kind_of", "build"), [("sqlite", stats.pages_of_file), ("postgresql", stats.tables_in_catalogue)])
def test_tables_are_measured_by_the_catalogue(kind_of: str, build: object) -> None:
    text = compiled(kind_of, build(kind_of)).text  # type: ignore[operator]
    assert "'ckpt_checkpoint'" in text
    assert "FROM ckpt_" not in text
