"""Copying threads between stores: everything that a thread has, equal to the byte, on every pair of databases."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig
from tests.support.build import config
from tests.support.rows import Rows
from tests.support.transfers import GRAPHS, contents, fill, pair, rows_of, run_graphs, schema, sqlite_file, threads_of

PAIRS = [("sqlite", "asyncpg"), ("asyncpg", "sqlite"), ("psycopg", "sqlite"), ("sqlite", "asyncpg partitioned")]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_copy_is_equal_to_the_byte(request: pytest.FixtureRequest, tmp_path: Path, source: str, target: str) -> None:
    with pair(request, tmp_path, source, target) as (one, other):
        fill(one)
        asyncio.run(run_graphs(one))
        one.prune(["t1"], strategy="keep_latest")
        report = one.copy_to(other, verify="objects")
        assert report.ok
        assert (report.threads, report.objects) == (3 + len(GRAPHS), len(Rows.of(one).referred_objects()))
        assert report.compared_checkpoints == 50
        assert rows_of(other) == rows_of(one)
        assert contents(other) == contents(one)
        assert other.verify(deep=True).ok
        assert threads_of(other) == threads_of(one)
        assert [each.metadata["step"] for each in other.list(None, filter={"user_id": "u2", "nested": {"a": [3]}})] == [3]


def test_there_and_back_is_equal_to_the_byte(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with pair(request, tmp_path, "sqlite", "asyncpg") as (one, middle):
        fill(one)
        one.copy_to(middle)
        with SQLAlchemySaver.from_conn_string(sqlite_file(request, tmp_path / "back.sqlite")) as back:
            middle.copy_to(back)
            assert rows_of(back) == rows_of(one)
            assert contents(back) == contents(one)


def test_between_schemas_of_one_database(request: pytest.FixtureRequest, postgres_url: str) -> None:
    url = postgres_url.replace("postgresql:", "postgresql+asyncpg:")
    with (
        schema(url, "tenant_from"),
        schema(url, "tenant_to"),
        SQLAlchemySaver.from_conn_string(url, schema="tenant_from") as one,
        SQLAlchemySaver.from_conn_string(url, schema="tenant_to") as other,
    ):
        fill(one)
        assert one.copy_to(other).threads == 3
        assert rows_of(other) == rows_of(one)
        assert contents(other) == contents(one)


def test_the_same_store_is_refused(lasting_url: str) -> None:
    with (
        SQLAlchemySaver.from_conn_string(lasting_url) as one,
        SQLAlchemySaver.from_conn_string(lasting_url) as other,
        pytest.raises(InvalidConfig, match="source and target are the same"),
    ):
        one.copy_to(other)


def test_a_file_among_the_blobs_of_the_other_is_refused(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    inside = sqlite_file(request, tmp_path / "blobs" / "b.sqlite")
    with (
        SQLAlchemySaver.from_conn_string(sqlite_file(request, tmp_path / "a.sqlite"), blob_url=str(tmp_path / "blobs")) as one,
        SQLAlchemySaver.from_conn_string(inside) as other,
        pytest.raises(InvalidConfig, match="in the folder of the other's blobs"),
    ):
        one.copy_to(other)


def test_a_new_target_indexes_the_keys_that_the_source_indexes(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    from ckptstore import TagKeys
    from ckptstore.cli.transfer import open_side
    from ckptstore.langgraph.format import LANGGRAPH
    from ckptstore.runtime.steps import drive
    from ckptstore.transfer.copying import copy_store
    from ckptstore.transfer.options import TransferCallbacks, TransferOptions

    keys = TagKeys(include=("user_id",))
    source, target = str(tmp_path / "a.sqlite"), str(tmp_path / "b.sqlite")
    with SQLAlchemySaver.from_conn_string(source, tag_keys=keys) as one:
        fill(one, threads=1)
    with open_side(source, None, None) as a, open_side(target, None, None, create=True) as b:
        drive(copy_store(a, b, TransferOptions(), None, LANGGRAPH, lambda: 0, TransferCallbacks()))
    with SQLAlchemySaver.from_conn_string(target, tag_keys=keys) as other:
        assert len(list(other.list(None, filter={"user_id": "u0"}))) == 4
        assert len(rows_of(other)["ckpt_tag"]) == 4
        assert other.get_tuple(config("t0")) is not None
