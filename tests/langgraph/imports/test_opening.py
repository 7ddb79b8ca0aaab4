"""Sources that can't be imported from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import DatabaseUnavailable, InvalidConfig, InvalidSource, InvalidUrl


@pytest.mark.parametrize(
    ("source", "exc", "says"),
    [
        (":memory:", InvalidSource, "pass the saver"),
        (5, InvalidConfig, "a path, a URL or a saver"),
        (None, InvalidConfig, "a path, a URL or a saver"),
        ("mysql://somewhere/x", InvalidUrl, "unknown URL scheme"),
        ("postgresql://nobody@localhost:1/nothing", DatabaseUnavailable, "nothing"),
    ],
)
def test_each_has_its_own_error(tmp_path: Path, source: Any, exc: type[Exception], says: str) -> None:
    with SQLAlchemySaver.from_conn_string(tmp_path / "ours.sqlite") as ours, pytest.raises(exc, match=says):
        ours.import_from(source)


def test_a_store_of_ours_is_copied() -> None:
    with (
        SQLAlchemySaver.from_conn_string(":memory:") as ours,
        SQLAlchemySaver.from_conn_string(":memory:") as other,
        pytest.raises(InvalidConfig, match="copy_to"),
    ):
        ours.import_from(other)
