"""What is wrong gets its own clear error, at once, and nothing is half written."""

from __future__ import annotations

import os
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.errors import (
    CkptStoreError,
    DatabaseCorrupt,
    DatabaseUnavailable,
    InvalidConfig,
    SerializationFailed,
    StoreClosed,
)
from tests.support.build import checkpoint, config, metadata, put


def test_a_path_that_can_not_be_written(tmp_path: Path) -> None:
    with SQLAlchemySaver.from_conn_string(tmp_path / "missing" / "c.sqlite") as saver, pytest.raises(DatabaseUnavailable) as caught:
        saver.get_tuple(config("t"))
    assert f"the folder {tmp_path / 'missing'} does not exist" in str(caught.value)
    with SQLAlchemySaver.from_conn_string(tmp_path) as saver, pytest.raises(DatabaseUnavailable, match="is a folder"):
        saver.get_tuple(config("t"))


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "c.sqlite").write_bytes(os.urandom(4096))
    with SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite") as saver, pytest.raises(DatabaseCorrupt, match="not a database"):
        saver.get_tuple(config("t"))


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_server_that_is_down_is_reported_at_once(driver: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"postgresql+{driver}://user:secret@127.0.0.1:{port}/db"
    # Retrying for an hour would hang this test: a server that was never reached is not retried at all.
    async with SQLAlchemySaver.from_conn_string(url, settings=DatabaseSettings(retry_seconds=3600)) as saver:
        for attempt in (saver.setup(), saver.aget_tuple(config("t")), put(saver, config("t"))):
            with pytest.raises(DatabaseUnavailable) as caught:
                await attempt
            assert "is the server running" in str(caught.value)
            assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "no thread_id"),
        ({"configurable": {}}, "no thread_id"),
        ({"configurable": {"thread_id": None}}, "no thread_id"),
        ({"configurable": {"thread_id": ["t"]}}, "got list"),
        ({"configurable": {"thread_id": 1.5}}, "got float"),
        ({"configurable": {"thread_id": True}}, "got bool"),
        ({"configurable": {"thread_id": "a\0"}}, "NUL"),
        ({"configurable": {"thread_id": "\ud800"}}, "surrogate"),
        ({"configurable": {"thread_id": "t", "checkpoint_ns": 5}}, "checkpoint_ns must be text"),
        ({"configurable": {"thread_id": "t", "checkpoint_id": 5}}, "checkpoint_id must be text"),
        ({"configurable": "t"}, "a config must be a dict"),
        ("t", "a config must be a dict"),
    ],
)
async def test_a_config_that_names_no_place(wrong: Any, says: str) -> None:
    made = checkpoint({"a": 1})
    async with SQLAlchemySaver.from_conn_string(":memory:") as saver:
        for attempt in (
            saver.aget_tuple(wrong),
            saver.aput(wrong, made, metadata(), made["channel_versions"]),
            saver.aput_writes(wrong, [("a", 1)], "task"),
            saver.aget_delta_channel_history(config=wrong, channels=["a"]),
        ):
            with pytest.raises(InvalidConfig, match=says):
                await attempt
        assert await saver.alist(None) == []


async def test_writes_without_a_checkpoint() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:") as saver:
        with pytest.raises(InvalidConfig, match="no checkpoint_id"):
            await saver.aput_writes(config("t"), [("a", 1)], "task")


async def test_arguments_that_make_no_sense() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:") as saver:
        for limit in (-1, "5; DROP TABLE ckpt_checkpoint", 1.5, True):
            with pytest.raises(InvalidConfig, match="limit"):
                saver.alist(None, limit=limit)  # type: ignore[arg-type]
        with pytest.raises(InvalidConfig, match="unknown prune strategy 'all'"):
            await saver.aprune(["t"], strategy="all")
        with pytest.raises(InvalidConfig, match="thread_ids must be a sequence"):
            await saver.aprune("thread")
        with pytest.raises(InvalidConfig, match="run_ids must be a sequence"):
            await saver.adelete_for_runs("run")
    with pytest.raises(InvalidConfig, match="no schemas"):
        SQLAlchemySaver.from_conn_string(":memory:", schema="tenant")


class Unserialisable:
    """Holds a lock, as clients of services do."""

    def __init__(self) -> None:
        self.socket = socket.socket

    def __reduce__(self) -> Any:
        raise TypeError("private text of the user's")


async def test_a_value_that_can_not_be_serialised_names_its_channel_and_leaves_nothing(saver: SQLAlchemySaver) -> None:
    made = checkpoint({"fine": 1, "client": Unserialisable()})
    for attempt in (
        saver.aput(config("t"), made, metadata(), made["channel_versions"]),
        saver.aput(config("t"), checkpoint({"client": Unserialisable()}, {}), metadata(), {}),
        saver.aput_writes(config("t", "c"), [("fine", 1), ("client", Unserialisable())], "task"),
    ):
        with pytest.raises(SerializationFailed, match="'client' holds a value of type Unserialisable") as caught:
            await attempt
        assert "private" not in str(caught.value)
    with pytest.raises(SerializationFailed, match="metadata\\['when'\\] contains a value of type object"):
        await put(saver, config("t"), {"a": 1}, when=object())
    assert await saver.alist(None) == []
    await put(saver, config("t"))
    assert len(await saver.alist(None)) == 1


async def test_a_value_that_can_not_be_read_back_names_its_channel(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    async with SQLAlchemySaver.from_conn_string(path) as saver:
        await put(saver, config("t"), {"a": [1]})
        with sqlite3.connect(path) as other:
            other.execute("UPDATE ckpt_channel SET type = 'strange', checksum = NULL")
        other.close()
        with pytest.raises(SerializationFailed, match="channel 'a' was stored as 'strange'"):
            await saver.aget_tuple(config("t"))


@pytest.mark.parametrize(("name", "says"), [("a\0b", "NUL"), ("\ud800", "surrogate"), (7, "must be text")])
async def test_a_channel_name_that_no_database_takes(saver: SQLAlchemySaver, name: Any, says: str) -> None:
    for attempt in (put(saver, config("t"), {name: 1}), saver.aput_writes(config("t", "c"), [(name, 1)], "task")):
        with pytest.raises(InvalidConfig, match=f"channel name.*{says}"):
            await attempt
    assert await saver.alist(None) == []


async def test_a_closed_saver_is_refused(url: str) -> None:
    saver = SQLAlchemySaver.from_conn_string(url)
    await put(saver, config("t"))
    await saver.aclose()
    for attempt in (saver.aget_tuple(config("t")), put(saver, config("t")), saver.adelete_thread("t")):
        with pytest.raises(StoreClosed, match="build another"):
            await attempt
    await saver.aclose()


HOSTILE = ["'; DROP TABLE ckpt_tag; --", '"', "a.b", "$eq", "%s", ":x", "?", "{}", "\\", "k' OR '1'='1", "a/b", "a~b", "~2", "\x1f", "é🙂"]


@pytest.mark.parametrize("text_", HOSTILE)
async def test_hostile_text_is_only_ever_a_value(saver: SQLAlchemySaver, text_: str) -> None:
    key = text_ if text_ != "$eq" else "eq"
    where = config(text_, checkpoint_ns=text_)
    await put(saver, where, {text_: text_}, **dict[str, Any]({f"x{key}": text_}))
    await put(saver, config("other"), {"a": 1}, xother="y")
    found = await saver.aget_tuple(where)
    assert found is not None
    assert found.checkpoint["channel_values"] == {text_: text_}
    assert [c.config["configurable"]["thread_id"] for c in await saver.alist(None, filter={f"x{key}": text_})] == [text_]
    assert await saver.alist(None, filter={f"x{key}": text_ + "'"}) == []
    await saver.adelete_for_runs([text_])
    await saver.adelete_thread(text_)
    assert len(await saver.alist(None)) == 1


def test_no_error_shows_a_row(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with SQLAlchemySaver.from_conn_string(path) as saver:
        saver.setup()
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            refuse = "BEGIN SELECT RAISE(ABORT, 'no more rows'); END"
            connection.execute(text(f"CREATE TRIGGER refuse BEFORE INSERT ON ckpt_checkpoint {refuse}"))
        engine.dispose()
        made = checkpoint({"a": "private"})
        with pytest.raises(CkptStoreError, match="no more rows") as caught:
            saver.put(config("t"), made, metadata(), made["channel_versions"])
        assert "private" not in str(caught.value)
