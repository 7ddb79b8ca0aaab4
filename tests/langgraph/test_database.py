"""What is neither an engine nor a URL is refused at once, with what to write instead."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from ckptstore import SQLAlchemySaver
from ckptstore.errors import CkptStoreError, InvalidEngine


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Closes what a test passes in place of an asynchronous engine."""
    with ExitStack() as stack:
        yield stack


def wrong_first_arguments(folder: Path, opened: ExitStack) -> dict[str, tuple[Any, str]]:
    psycopg = pytest.importorskip("psycopg")
    engine = create_engine("sqlite://")
    opened.callback(engine.dispose)
    return {
        "path": (folder / "a.sqlite", "from_conn_string"),
        "URL": ("postgresql://user:secret@host/db", "from_conn_string"),
        "URL object": (make_url("postgresql://user:secret@host/db"), "from_conn_string"),
        "None": (None, "from_conn_string"),
        "sqlite3 connection": (opened.enter_context(closing(sqlite3.connect(":memory:"))), "from_conn_string.*create_async_engine"),
        "psycopg connection": (psycopg.Connection.__new__(psycopg.Connection), "psycopg.Connection; .*from_conn_string"),
        "synchronous engine": (engine, "create_async_engine"),
        "connection": (opened.enter_context(engine.connect()), "create_async_engine"),
        "class": (SQLAlchemySaver, "create_async_engine"),
    }


def test_a_wrong_first_argument_is_refused_at_once(tmp_path: Path, opened: ExitStack) -> None:
    for given, says in wrong_first_arguments(tmp_path, opened).values():
        with pytest.raises(InvalidEngine, match=says) as caught:
            SQLAlchemySaver(given)
        assert "secret" not in str(caught.value)
        assert isinstance(caught.value, TypeError)
        assert isinstance(caught.value, CkptStoreError)
    assert not list(tmp_path.iterdir())


def test_a_connection_string_that_is_none_is_refused_at_once(opened: ExitStack) -> None:
    connection = opened.enter_context(closing(sqlite3.connect(":memory:")))
    for given, says in (
        (create_async_engine("sqlite+aiosqlite://"), r"SQLAlchemySaver\(engine\)"),
        (create_engine("sqlite://"), "create_async_engine"),
        (None, "got None; give text"),
        (connection, "sqlite3.Connection; give text"),
    ):
        with pytest.raises(InvalidEngine, match=says):
            SQLAlchemySaver.from_conn_string(given)
