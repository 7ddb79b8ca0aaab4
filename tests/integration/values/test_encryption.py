"""Under encryption nothing is stored in plain text, and everything comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import zstandard
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
)
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from ckptstore import SQLAlchemySaver
from ckptstore.values.chunking import join_segments
from ckptstore.values.compression import decompress_segment
from tests.support.build import checkpoint, config, metadata, put
from tests.support.serialisers import encrypting
from tests.support.value_kinds import KINDS, Pet
from tests.support.values import NOISE, StoreAddress, read, rows, same

TEXT_MARKER = "correct-horse-battery-staple"


DIGITS_MARKER = "4815162342481516234248"


BYTES_MARKER = b"\x00\xfeMARK\xff\x00\x80end"


NUMBER_MARKER = 0x4D41524B5A5A5A4B


MARKERS = {
    "text": TEXT_MARKER.encode(),
    "digits": DIGITS_MARKER.encode(),
    "bytes": BYTES_MARKER,
    "number": NUMBER_MARKER.to_bytes(8, "big"),
}


MARKED = NOISE.randbytes(50_000) + b"".join(MARKERS.values()) + NOISE.randbytes(50_000)


def everything_stored(saver: SQLAlchemySaver, address: StoreAddress) -> bytes:
    """What can be read in tables and files, but for metadata and tags; compressed bytes also as they were before."""
    kept: list[bytes] = []
    for table, row in rows(saver):
        if table == "ckpt_tag":
            continue
        kept += [item if isinstance(item, bytes) else str(item).encode() for name, item in row.items() if name != "metadata"]
        if row.get("data") is not None:
            kept.append(decompress_segment(row["digest"], row["size"], row["encoding"], row["data"]))
        if row.get("layout") and isinstance(row["layout"][0], int) and row["layout"][0] < 0:
            kept.append(join_segments(row["value"], [row["layout"][0], -row["layout"][0]], {}))
    for path in address.files():
        data = path.read_bytes()
        kept.append(data)
        if data.startswith(zstandard.FRAME_HEADER):
            kept.append(zstandard.ZstdDecompressor().decompress(data))
    if "://" not in address.url:
        kept += [path.read_bytes() for path in Path(address.url).parent.iterdir() if path.is_file()]
    return b"\n".join(kept)


async def store_markers(saver: SQLAlchemySaver) -> dict[str, Any]:
    values = {
        "text": TEXT_MARKER,
        "digits": DIGITS_MARKER,
        "number": NUMBER_MARKER,
        "bytes": BYTES_MARKER,
        "marked": MARKED,
        "array": bytearray(MARKED),
        "messages": [HumanMessage(TEXT_MARKER, additional_kwargs={"d": DIGITS_MARKER}), AIMessage(TEXT_MARKER * 3_000)],
        "long": TEXT_MARKER * 10_000,
        "files": {"a": MARKED, "b": [{"c": MARKED[::-1] + TEXT_MARKER.encode()}]},
        "lines": [f"{TEXT_MARKER} {n}" for n in range(5_000)],
        "snapshot": _DeltaSnapshot([TEXT_MARKER] * 5_000),
        "keys": {TEXT_MARKER: DIGITS_MARKER},
        "model": Pet(name=TEXT_MARKER, picture=MARKED),
    }
    loose = {f"loose {name}": value for name, value in values.items()}
    made = checkpoint(values | loose, dict.fromkeys(values, "1"))
    where = await saver.aput(config("t"), made, metadata(), dict.fromkeys(values, "1"))
    await saver.aput_writes(
        where, [*values.items(), ("__error__", TEXT_MARKER), ("__interrupt__", [TEXT_MARKER]), ("__resume__", DIGITS_MARKER)], "task"
    )
    return values | loose


async def test_under_encryption_everything_is_read_back_and_nothing_is_stored_plain(address: StoreAddress) -> None:
    async with address.open(serde=encrypting()) as saver:
        values = await store_markers(saver)
    async with address.open(serde=encrypting()) as saver:
        found = await read(saver)
        assert found.keys() == values.keys()
        assert [name for name, value in values.items() if not same(found[name], value)] == []
        kept = everything_stored(saver, address)
    assert [name for name, marker in MARKERS.items() if marker in kept] == []


async def test_without_encryption_the_same_search_finds_every_marker(address: StoreAddress) -> None:
    async with address.open() as saver:
        await store_markers(saver)
        kept = everything_stored(saver, address)
    assert [name for name, marker in MARKERS.items() if marker not in kept] == []


@pytest.mark.parametrize("kind", ["plain", "types", "arrays", "messages"])
async def test_every_value_comes_back_under_encryption(file_address: StoreAddress, kind: str) -> None:
    async with file_address.open(serde=encrypting()) as saver:
        await put(saver, config("t"), KINDS[kind])
    async with file_address.open(serde=encrypting()) as saver:
        found = await read(saver)
    assert [name for name, value in KINDS[kind].items() if not same(found[name], value)] == []
