"""Odd limits and policies: what shrinks when serialised, what is no channel, ages of parts of a day."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore import PruneReport, RetentionPolicy, SizeLimitedCheckpointer, SizeLimits, SQLAlchemySaver
from ckptstore.errors import CheckpointTooLarge, InvalidPolicy
from ckptstore.values.size_limits import MIB
from tests.support.build import chain, config, put

SMALL = SizeLimits(max_checkpoint_bytes=100_000)


# --- limits


class Zipped(JsonPlusSerializer):
    """A serialiser that compresses."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        type_, data = super().dumps_typed(obj)
        return type_, zlib.compress(data)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        return super().loads_typed((data[0], zlib.decompress(data[1])))


async def test_a_leaf_that_shrank_makes_no_room_for_another_channel(tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite", serde=Zipped(), limits=SMALL) as saver:
        values = {"scan": {"zeros": bytes(10_000_000), "noise": os.urandom(70_000)}, "text": os.urandom(500_000).hex()}
        with pytest.raises(CheckpointTooLarge):
            await put(saver, config("t"), values)


async def test_a_leaf_that_is_pickled_once_makes_no_room_for_another_channel(tmp_path: Path) -> None:
    leaf = os.urandom(500_000)
    serde = JsonPlusSerializer(pickle_fallback=True)
    async with SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite", serde=serde, limits=SMALL) as saver:
        with pytest.raises(CheckpointTooLarge):
            await put(saver, config("t"), {"files": [leaf, leaf, leaf, 1j, ValueError], "text": "x" * 900_000})


async def test_metadata_counts_in_bytes() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:", limits=SMALL) as saver:
        with pytest.raises(CheckpointTooLarge):
            await put(saver, config("t"), {"n": 1}, note="\N{GRINNING FACE}" * 90_000)


async def test_a_channel_with_the_name_of_no_channel_counts() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:", limits=SMALL) as saver:
        with pytest.raises(CheckpointTooLarge):
            await put(saver, config("t"), {"(metadata)": "x" * 1_000_000})


async def test_a_limit_on_checkpoints_leaves_the_savers_limit_on_blobs_alone(tmp_path: Path) -> None:
    limits = SizeLimits(max_blob_bytes=100_000)
    async with SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite", limits=limits) as saver:
        with pytest.raises(CheckpointTooLarge):
            await put(SizeLimitedCheckpointer(saver, 10), config("t"), {"file": os.urandom(200_000)})  # type: ignore[arg-type]


async def test_what_is_a_byte_too_large_differs_from_the_limit_in_the_message(tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite") as saver:
        with pytest.raises(CheckpointTooLarge) as refused:
            await put(saver, config("t"), {"text": "x" * (10 * MIB)})
        said = re.search(r": ([^:]+) exceeds limit ([^;]+);", str(refused.value))
        assert said is not None
        assert said[1] != said[2]


# --- policies


async def test_a_number_past_a_databases_integers_is_refused_or_keeps_all(saver: SQLAlchemySaver) -> None:
    await chain(saver, "t", 3)
    try:
        policy = RetentionPolicy(keep_last=2**70)
    except InvalidPolicy:
        return
    assert await saver.aprune_by(policy) == PruneReport()
