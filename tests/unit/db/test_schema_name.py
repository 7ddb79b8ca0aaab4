"""Which names a schema may have is decided before anything is connected to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig

SERVER = "postgresql://user@nowhere.example/db"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "empty"),
        ("a\0b", "NUL"),
        ("a" * 64, "64 bytes, at most 63"),
        ("ü" * 32, "64 bytes, at most 63"),
        ("\ud800", "surrogate"),
        ("50% of %(x)s", "takes for a parameter"),
        ("pg_tenant", "reserves"),
        ("information_schema", "reserves"),
        (5, "of type int"),
        (b"tenant", "of type bytes"),
    ],
)
def test_a_name_that_can_be_no_schema_is_refused_when_the_saver_is_built(name: Any, says: str) -> None:
    with pytest.raises(InvalidConfig, match=says):
        SQLAlchemySaver.from_conn_string(SERVER, schema=name)


@pytest.mark.parametrize("name", ["tenant", "Tenant 1", 'x"; DROP TABLE users; --', "a.b", "50%", "ü" * 31, "select"])
def test_every_other_name_is_taken(name: str) -> None:
    SQLAlchemySaver.from_conn_string(SERVER, schema=name).close()


def test_sqlite_has_no_schemas(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="a file of its own"):
        SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite", schema="tenant")
