"""Values that claim, or expand to, more than memory should hold: a page says so, shows the others, and stays small."""

from __future__ import annotations

import json
import os

import pytest
import zstandard

from ckptstore import SQLAlchemySaver
from ckptstore.db.connection import Db
from tests.support.build import config, put
from tests.support.inspector import inspecting, text_of
from tests.support.memory import at_most

_MEBIBYTE = 1024 * 1024
BOMB_BYTES = 64 * _MEBIBYTE
ROW_BYTES = 3_000_000_000
BOMB = zstandard.compress(bytes(BOMB_BYTES))

#: What a row claims -> the statements that alter it, and what the page says.
ALTERED = {
    "a segment that expands": ([f"UPDATE ckpt_segment SET encoding = 'zstd', data = X'{BOMB.hex()}'"], f"claim to be {BOMB_BYTES} when"),
    "a segment that claims what it expands to": (
        [f"UPDATE ckpt_segment SET encoding = 'zstd', size = {BOMB_BYTES}, data = X'{BOMB.hex()}'"],
        "do not add up",
    ),
    "a row and a segment that claim 3 GB": (
        [
            f"UPDATE ckpt_segment SET encoding = 'zstd', size = {ROW_BYTES}, data = X'{BOMB.hex()}'",
            f"UPDATE ckpt_channel SET checksum = NULL, size = {ROW_BYTES} WHERE channel = 'file'",
        ],
        f"expected {ROW_BYTES}",
    ),
    "a layout of one segment ten thousand times": (
        [
            f"UPDATE ckpt_channel SET checksum = NULL, layout = '{json.dumps(['x'] * 10_000)}' WHERE channel = 'file'",
            "UPDATE ckpt_channel SET layout = "
            "replace(layout, '\"x\"', (SELECT json_quote(digest) FROM ckpt_segment LIMIT 1)) WHERE channel = 'file'",
        ],
        "do not add up",
    ),
}


def run(saver: SQLAlchemySaver, statement: str) -> None:
    def work(db: Db) -> None:
        db.connection.exec_driver_sql(statement)

    saver.store.runner.write(work).result()


@pytest.mark.parametrize("kind", ALTERED)
async def test_what_is_too_large_is_a_sentence(sqlite_url: str, kind: str) -> None:
    statements, said = ALTERED[kind]
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        where = await put(saver, config("t"), {"word": ["a word to find"]})
        await put(saver, where, {"file": os.urandom(40_000)})
        for statement in statements:
            run(saver, statement)
    with inspecting(sqlite_url) as client, at_most(BOMB_BYTES // 2):
        newest, oldest = client.get("/export?thread=t").json()["checkpoints"]
        assert said in newest["problem"]
        assert oldest["channels"]["word"]["value"] == ["a word to find"]
        assert said in text_of(client.get("/checkpoint?thread=t").text)
        ends = [f"{each['checkpoint_id']} " for each in (oldest, newest)]
        assert said in text_of(client.get("/diff", params={"thread": "t", "c": ends}).text)
        for page in ("value", "raw"):
            answer = client.get(f"/{page}?thread=t&channel=file")
            assert (answer.status_code, said in text_of(answer.text)) == (500, True)


async def test_a_row_that_only_claims_3_gb_is_shown_as_it_is(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await put(saver, config("t"), {"file": os.urandom(40_000)})
        run(saver, f"UPDATE ckpt_channel SET checksum = NULL, size = {ROW_BYTES}")
    with inspecting(sqlite_url) as client, at_most(BOMB_BYTES // 2):
        assert len(client.get("/raw?thread=t&channel=file").content) == 40_000
