"""Statements on the load: what is old is found by the primary key."""

from __future__ import annotations

from sqlalchemy.dialects import sqlite

from ckptstore.db.sql import load


def test_rows_are_found_by_their_time_alone() -> None:
    for build in (load.delete_before, load.rows_since, load.searched_since):
        text = str(build("sqlite").compile(dialect=sqlite.dialect()))
        assert "WHERE ckpt_load.started_at" in text


def test_the_searched_keys_are_read_apart() -> None:
    assert "searched" not in str(load.rows_since("sqlite"))
    assert "DISTINCT" in str(load.searched_since("sqlite"))
