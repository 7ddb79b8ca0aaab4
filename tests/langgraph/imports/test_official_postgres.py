"""The tables of the official PostgreSQL savers, of the shallow one too, on both drivers."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.shallow import ShallowPostgresSaver
from psycopg.rows import dict_row

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidSource
from tests.langgraph.imports.test_official_sqlite import contents, fill
from tests.support.build import checkpoint, config, metadata
from tests.support.official import Place
from tests.support.serialisers import encrypting
from tests.support.transfers import threads_of

VALUES = {"file": bytes(100_000), "long": "a text of more than thirty-two characters", "pi": 3.5, "big": 2**70, "none": None}


@pytest.fixture
def place(tmp_path: Path, postgres_url: str) -> Iterator[Place]:
    place = Place("postgres", tmp_path, postgres_url)
    yield place
    asyncio.run(place.drop())


@pytest.fixture
def connection(place: Place) -> Iterator[Any]:
    with psycopg.connect(place.source, autocommit=True, prepare_threshold=0, row_factory=dict_row) as connection:
        connection.execute(f"CREATE SCHEMA {place.schema}")
        connection.execute(f"SET search_path TO {place.schema}")
        yield connection


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[SQLAlchemySaver]:
    with SQLAlchemySaver.from_conn_string(tmp_path / "ours.sqlite") as saver:
        yield saver


def shallow(connection: Any) -> ShallowPostgresSaver:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return ShallowPostgresSaver(connection)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("size", [4 * 1024 * 1024, 1])
def test_values_of_every_place(
    connection: Any, place: Place, ours: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch, driver: str, size: int
) -> None:
    monkeypatch.setattr("ckptstore.langgraph.imports.official_postgres._BYTES_PER_READ", size)
    monkeypatch.setattr("ckptstore.langgraph.imports.official_postgres._THREADS_PER_PAGE", 2)
    official = PostgresSaver(connection)
    official.setup()
    fill(official, values=VALUES)
    url = place.source.replace("postgresql:", f"postgresql+{driver}:")
    assert ours.import_from(url, schema=place.schema).threads == 3
    assert contents(ours) == contents(official)
    assert ours.import_from(url, schema=place.schema).unchanged_threads == 3
    assert ours.verify(deep=True).ok


def test_a_shallow_saver_keeps_one_checkpoint(connection: Any, place: Place, ours: SQLAlchemySaver) -> None:
    official = shallow(connection)
    official.setup()
    fill(official, values={"file": [1, 2, 3]})
    report = ours.import_from(place.source, schema=place.schema, verify="objects")
    assert (report.threads, report.compared_checkpoints) == (3, 3)
    assert contents(ours) == contents(official)
    # The next one replaces it there; here it is one more.
    where = official.get_tuple(config("t0"))
    assert where is not None
    made = checkpoint({"n": 9}, {"n": "00000002.x"})
    official.put(where.config, made, metadata(9), made["channel_versions"])
    assert ours.import_from(place.source, schema=place.schema).updated_threads == 1
    assert len(list(ours.list(config("t0")))) == 2


def test_sends_of_an_old_shallow_saver_are_refused(connection: Any, place: Place, ours: SQLAlchemySaver) -> None:
    official = shallow(connection)
    official.setup()
    where = official.put(config("t"), checkpoint({}, v=3), metadata(0), {})
    official.put_writes(where, [("__pregel_tasks", "send")], "task")
    report = ours.import_from(place.source, schema=place.schema)
    assert "pending sends" in report.failed_threads["t"]


def test_threads_are_chosen(connection: Any, place: Place, ours: SQLAlchemySaver) -> None:
    official = PostgresSaver(connection)
    official.setup()
    fill(official)
    assert ours.import_from(place.source, schema=place.schema, filter={"user_id": "u1"}).threads == 1
    assert ours.import_from(place.source, schema=place.schema, threads=["t0"], newest=1).threads == 1
    assert threads_of(ours) == ["t0", "t1"]
    assert len(list(ours.list(config("t0")))) == 1


def test_an_encrypted_store_needs_its_serialiser(connection: Any, place: Place, ours: SQLAlchemySaver) -> None:
    official = PostgresSaver(connection, serde=encrypting())
    official.setup()
    fill(official, 1)
    assert "give the serialiser" in ours.import_from(place.source, schema=place.schema).failed_threads["t0"]
    assert ours.import_from(place.source, schema=place.schema, serde=encrypting()).ok
    assert contents(ours) == contents(official)


def test_a_schema_without_them_is_refused(connection: Any, place: Place, ours: SQLAlchemySaver, postgres_url: str) -> None:
    with pytest.raises(InvalidSource, match="--from-schema"):
        ours.import_from(place.source, schema=place.schema)
    with pytest.raises(InvalidSource, match="ckptstore copy"):
        ours.import_from(postgres_url)
