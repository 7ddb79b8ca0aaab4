"""Compression: a segment is read as it was written, or reported corrupt."""

from __future__ import annotations

import random
from typing import Any

import pytest
import zstandard
from hypothesis import given

from ckptstore.errors import BlobCorrupt
from ckptstore.values.chunking import BLOB_BYTES
from ckptstore.values.compression import compress, decompress_segment
from ckptstore.values.digests import compact_digest_of
from tests.support.memory import at_most
from tests.support.serialised import SLOW, blocks


@SLOW
@given(blocks())
def test_a_segment_is_unpacked_as_it_was_packed(data: bytes) -> None:
    encoding, stored = compress(memoryview(data))
    assert len(stored) <= len(data)
    assert decompress_segment(compact_digest_of(data), len(data), encoding, bytes(stored)) == data


@pytest.mark.parametrize("size", [0, 1, 100, 10_000, BLOB_BYTES, 300_000])
def test_what_does_not_shrink_stays_raw(size: int) -> None:
    data = random.Random(size).randbytes(size)
    encoding, stored = compress(data)
    assert (encoding, bytes(stored)) == ("raw", data)


@pytest.mark.parametrize("size", [1_000, BLOB_BYTES, 300_000])
def test_what_shrinks_is_compressed(size: int) -> None:
    encoding, stored = compress((b"line after line " * size)[:size])
    assert encoding.startswith("zstd")
    assert len(stored) < size // 10


SEGMENT = b"all work and no play " * 50


ENCODINGS = ["raw", "zstd", "zstd-messages"]


def stored_segment(encoding: str) -> bytes:
    if encoding == "raw":
        return SEGMENT
    if encoding == "zstd":
        return zstandard.ZstdCompressor().compress(SEGMENT)
    made, stored = compress(SEGMENT)
    assert made == encoding
    return bytes(stored)


def unpack(encoding: str, stored: bytes, size: int = len(SEGMENT), digest: str = compact_digest_of(SEGMENT)) -> bytes:
    return decompress_segment(digest, size, encoding, stored)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_flipped_bit_gives_other_bytes(encoding: str) -> None:
    stored = stored_segment(encoding)
    refused = 0
    for bit in range(8 * len(stored)):
        altered = bytearray(stored)
        altered[bit // 8] ^= 1 << bit % 8
        try:
            # Some bits of a zstd frame mean nothing.
            assert unpack(encoding, bytes(altered)) == SEGMENT
            assert encoding != "raw"
        except BlobCorrupt:
            refused += 1
    assert refused >= 7 * len(stored)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_truncated_segment_is_used(encoding: str) -> None:
    stored = stored_segment(encoding)
    for length in range(len(stored)):
        with pytest.raises(BlobCorrupt):
            unpack(encoding, stored[:length])


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "wrong",
    [{"size": len(SEGMENT) - 1}, {"size": len(SEGMENT) + 1}, {"size": 0}, {"size": 2**62}, {"digest": compact_digest_of(b"")}],
    ids=["a byte less", "a byte more", "nothing", "far too much", "another digest"],
)
def test_no_segment_of_another_size_or_digest_is_used(encoding: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(BlobCorrupt):
        unpack(encoding, stored_segment(encoding), **wrong)


@pytest.mark.parametrize("encoding", [*ENCODINGS, "gzip"])
@pytest.mark.parametrize(
    "stored",
    [b"", b"\x28\xb5\x2f\xfd", b"no frame at all" * 70, zstandard.ZstdCompressor().compress(b""), b"\x50\x2a\x4d\x18\x00\x00\x00\x00"],
    ids=["nothing", "a magic number", "text", "an empty frame", "a frame to skip"],
)
def test_what_is_no_frame_is_corrupt(encoding: str, stored: bytes) -> None:
    with pytest.raises(BlobCorrupt):
        unpack(encoding, stored)


@pytest.mark.parametrize("encoding", ENCODINGS[1:])
@pytest.mark.parametrize("claimed", [2**40, 2**62, 2**64 - 3])
def test_a_frame_that_claims_more_than_memory_holds_is_corrupt(claimed: int, encoding: str) -> None:
    stored = stored_segment("zstd")
    # Another descriptor: eight bytes of content size, one segment. What follows is the frame's block.
    header = stored[:4] + b"\xe0" + claimed.to_bytes(8, "little")
    assert zstandard.get_frame_parameters(header + stored[7:]).content_size == claimed
    with pytest.raises(BlobCorrupt):
        unpack(encoding, header + stored[7:])


@pytest.mark.parametrize("encoding", ENCODINGS[1:])
@pytest.mark.parametrize("says_its_size", [True, False])
def test_a_bomb_is_refused_before_it_is_inflated(says_its_size: bool, encoding: str) -> None:
    content = bytes(64 * 1024 * 1024)
    if says_its_size:
        bomb = zstandard.ZstdCompressor().compress(content)
    else:
        compressing = zstandard.ZstdCompressor(write_content_size=False).compressobj()
        bomb = compressing.compress(content) + compressing.flush()
    assert len(bomb) < 10_000
    with at_most(1024 * 1024), pytest.raises(BlobCorrupt):
        unpack(encoding, bomb)
