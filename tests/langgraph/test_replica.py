"""The options that name a replica."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig, InvalidEngine


def test_sqlite_has_no_replica(tmp_path: Any, postgres_url: str) -> None:
    for url, read_url in ((str(tmp_path / "a"), postgres_url), (postgres_url, str(tmp_path / "a"))):
        with pytest.raises(InvalidConfig, match="standby of a PostgreSQL"):
            SQLAlchemySaver.from_conn_string(url, read_url=read_url)


@pytest.mark.parametrize("bound", [0, -1, "1", None, True])
def test_the_bound_of_the_lag_is_a_positive_number(postgres_url: str, bound: Any) -> None:
    with pytest.raises(InvalidConfig, match="max_lag_seconds"):
        SQLAlchemySaver.from_conn_string(postgres_url, read_url=postgres_url, max_lag_seconds=bound)


def test_a_saver_that_follows_a_move_has_no_replica(postgres_url: str) -> None:
    with pytest.raises(InvalidConfig, match="can't be combined"):
        SQLAlchemySaver.from_conn_string(postgres_url, read_url=postgres_url, moved_to=postgres_url)


def test_a_replica_is_named_by_its_url(postgres_url: str) -> None:
    with pytest.raises(InvalidEngine, match="takes a path or a URL"):
        SQLAlchemySaver.from_conn_string(postgres_url, read_url=5)


async def test_the_database_itself_may_be_its_own_replica(postgres_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(postgres_url, read_url=postgres_url) as saver:
        await saver.alist_threads()
        assert saver.stats().to_dict()["replica"] == {"reads": 1, "fallbacks": 0, "lag_seconds": 0.0}
    async with SQLAlchemySaver.from_conn_string(postgres_url) as saver:
        assert saver.stats().replica is None
