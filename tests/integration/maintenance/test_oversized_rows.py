"""Rows that claim more than their value has: they are refused before anything is decompressed or joined."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import zstandard

from ckptstore import SQLAlchemySaver
from ckptstore.db.connection import Db
from ckptstore.errors import BlobCorrupt, CheckpointCorrupt, DatabaseCorrupt
from tests.support.build import config, put
from tests.support.databases import url_of
from tests.support.memory import at_most

_MEBIBYTE = 1024 * 1024
BOMB_BYTES = 256 * _MEBIBYTE
# More than two dozen elements of one size: a list of segments.
MESSAGES = [f"{number} " * 50 for number in range(200)]


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


def run(saver: SQLAlchemySaver, statement: str) -> list[tuple[Any, ...]]:
    def work(db: Db) -> list[tuple[Any, ...]]:
        result = db.connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []

    return saver.store.runner.write(work).result()


def as_bytes(url: str, data: bytes) -> str:
    return f"X'{data.hex()}'" if "postgresql" not in url else f"'\\x{data.hex()}'::bytea"


def bomb(*, says_its_size: bool) -> bytes:
    compressor = zstandard.ZstdCompressor().compressobj(**({"size": BOMB_BYTES} if says_its_size else {}))
    parts = [compressor.compress(bytes(_MEBIBYTE)) for _ in range(BOMB_BYTES // _MEBIBYTE)]
    return b"".join(parts) + compressor.flush()


async def expect_refusal(saver: SQLAlchemySaver, kind: type[Exception] | tuple[type[Exception], ...], match: str) -> None:
    """A read is refused, and takes little memory."""
    with at_most(BOMB_BYTES // 8):
        with pytest.raises(kind, match=match):
            await saver.aget_tuple(config("t"))
        with pytest.raises(kind, match=match):
            await saver.alist(config("t"))


async def test_a_layout_that_repeats_a_segment(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await put(saver, config("t"), {"file": os.urandom(40_000)})
        ((digest,),) = run(saver, "SELECT digest FROM ckpt_segment")
        run(saver, f"UPDATE ckpt_channel SET checksum = NULL, layout = '{json.dumps([digest] * 10_000)}'")
        await expect_refusal(saver, CheckpointCorrupt, r"channel 'file' .* do not add up to its 40000 bytes")


async def test_a_layout_that_repeats_a_list_of_segments(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await put(saver, config("t"), {"messages": MESSAGES})
        ((digest,), *_) = run(saver, "SELECT digest FROM ckpt_segment WHERE encoding = 'list'")
        run(saver, f"UPDATE ckpt_channel SET checksum = NULL, layout = '{json.dumps([digest] * 10_000)}'")
        await expect_refusal(saver, CheckpointCorrupt, r"channel 'messages' .* do not add up")


@pytest.mark.parametrize("says_its_size", [True, False])
async def test_a_segment_that_expands_to_more_than_its_row_allows(url: str, says_its_size: bool) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await put(saver, config("t"), {"file": os.urandom(40_000)})
        run(saver, f"UPDATE ckpt_segment SET encoding = 'zstd', data = {as_bytes(url, bomb(says_its_size=says_its_size))}")
    # Another one: the saver that wrote it has its content, and does not read the row.
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await expect_refusal(saver, BlobCorrupt, "segment")


@pytest.mark.parametrize("says_its_size", [True, False])
async def test_a_segment_whose_row_claims_more_than_its_value_has(url: str, says_its_size: bool) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await put(saver, config("t"), {"file": os.urandom(40_000)})
        data = as_bytes(url, bomb(says_its_size=says_its_size))
        run(saver, f"UPDATE ckpt_segment SET encoding = 'zstd', size = {BOMB_BYTES}, data = {data}")
        await expect_refusal(saver, CheckpointCorrupt, r"channel 'file' .* do not add up to its 40000 bytes")


async def test_literal_bytes_that_expand_to_more_than_their_value_has(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await put(saver, config("t"), {"text": ["a word, and another"] * 12})
        data = as_bytes(url, bomb(says_its_size=True))
        layout = json.dumps([-BOMB_BYTES, BOMB_BYTES])
        run(saver, f"UPDATE ckpt_channel SET checksum = NULL, layout = '{layout}', value = {data}")
        await expect_refusal(saver, CheckpointCorrupt, r"channel 'text' .* do not add up")


@pytest.mark.parametrize("layout", [[-5], [1.5], [True, -1], [{"a": 1}], [["a"]], [5, None, 7], "text", {"a": 1}, [[[]]]])
async def test_a_layout_that_no_writer_makes(url: str, layout: Any) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await put(saver, config("t"), {"text": ["a word, and another"] * 12})
        run(saver, f"UPDATE ckpt_channel SET checksum = NULL, layout = '{json.dumps(layout)}'")
        # PostgreSQL itself refuses to take entries from something else than an array.
        await expect_refusal(saver, (CheckpointCorrupt, DatabaseCorrupt), "channel 'text'|cannot call json_array_elements_text")
