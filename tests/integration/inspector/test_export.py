"""Threads as JSON documents."""

from __future__ import annotations

import json
from pathlib import Path

from starlette.testclient import TestClient

from ckptstore import SQLAlchemySaver
from tests.support.build import chain, config, put
from tests.support.inspector import inspecting


def test_all_checkpoints_newest_first(client: TestClient) -> None:
    answer = client.get("/export?thread=ann")
    assert answer.headers["content-disposition"] == 'attachment; filename="ann.json"'
    found = answer.json()
    assert (found["thread_id"], found["checkpoint_count"], found["redacted"]) == ("ann", 10, [])
    ids = [each["checkpoint_id"] for each in found["checkpoints"]]
    assert (len(ids), ids) == (10, sorted(ids, reverse=True))
    assert found["checkpoints"][-1]["metadata"]["source"] == "input"
    assert any("messages" in each["channels"] for each in found["checkpoints"])


async def test_hidden_keys_are_left_out(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        where = await put(saver, config("t"), {"user": {"email": "s3cret"}, "email": "s3cret"}, email="s3cret", name="ann")
        await saver.aput_writes(where, [("email", "s3cret")], "task")
    with inspecting(sqlite_url, redact=["EMAIL"]) as client:
        answer = client.get("/export?thread=t")
        assert "s3cret" not in answer.text
        found = answer.json()
        assert found["redacted"] == ["EMAIL"]
        assert found["checkpoints"][0]["channels"]["user"]["value"] == {"email": {"$not_shown": "redacted"}}
        assert found["checkpoints"][0]["metadata"]["name"] == "ann"


async def test_the_name_of_the_file_is_plain(sqlite_url: str) -> None:
    hostile = 'a"; x=\r\nSet-Cookie: y'
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await put(saver, config(hostile), {})
    with inspecting(sqlite_url) as client:
        answer = client.get("/export", params={"thread": hostile})
        assert answer.json()["thread_id"] == hostile
        assert answer.headers["content-disposition"] == 'attachment; filename="a-x-Set-Cookie-y.json"'
        assert "set-cookie" not in answer.headers


async def test_a_long_thread(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await chain(saver, "t", 230)
    with inspecting(sqlite_url) as client:
        found = client.get("/export?thread=t").json()["checkpoints"]
        assert [each["metadata"]["step"] for each in found] == list(range(229, -1, -1))


async def test_a_checkpoint_that_can_not_be_read_is_named(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await chain(saver, "t", 2)
        await put(saver, config("t"), {"n": [1]})
        saver.store.runner.write(lambda db: db.execute("UPDATE ckpt_channel SET type = 'json'")).result()
    with inspecting(sqlite_url) as client:
        found = json.loads(client.get("/export?thread=t").text)["checkpoints"]
        assert ["was altered" in each.get("problem", "") for each in found] == [True, False, False]


def test_nothing_is_written(client: TestClient, conversation: str) -> None:
    before = Path(conversation).read_bytes()
    client.get("/export?thread=ann")
    assert Path(conversation).read_bytes() == before
