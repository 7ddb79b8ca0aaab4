"""Texts in base64 are stored as what they stand for, and come back to the character."""

from __future__ import annotations

import base64
import random

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptstore.errors import BlobCorrupt
from ckptstore.values.base64_text import LEAST_BYTES, base64_offsets, decoded, may_hold_base64, may_hold_text, restored
from ckptstore.values.compression import compress, decompress_segment
from ckptstore.values.digests import compact_digest_of

RANDOM = random.Random(0)


def noise(count: int) -> bytes:
    return RANDOM.randbytes(count)


@given(st.integers(LEAST_BYTES, LEAST_BYTES + 9))
def test_every_length_comes_back(count: int) -> None:
    content = noise(count)
    text = base64.b64encode(content)
    encoding, stored = compress(text)
    assert (encoding, stored) == ("base64", content)
    assert decompress_segment(compact_digest_of(text), len(text), encoding, bytes(stored)) == text


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text[:5000] + b"\n" + text[5001:],
        lambda text: text.replace(b"+", b"-").replace(b"/", b"_"),
        lambda text: text[:-3] + b"B==",
        lambda text: text + b"AAAA",
        lambda text: text[: LEAST_BYTES - 4],
    ],
    ids=["cut", "a line's end", "URL-safe", "bits that no encoder writes", "after the padding", "short"],
)
def test_another_text_is_stored_as_it_is(change: object) -> None:
    text = change(base64.b64encode(noise(LEAST_BYTES + 3)))  # type: ignore[operator]
    assert decoded(text) is None
    encoding, stored = compress(text)
    assert encoding != "base64"
    assert decompress_segment(compact_digest_of(text), len(text), encoding, bytes(stored)) == text


def test_what_compresses_better_is_compressed() -> None:
    # A plain text of the letter x is base64, too.
    encoding, stored = compress(b"x" * 1_000_000)
    assert (encoding, len(stored) < 1000) == ("zstd", True)


def test_an_altered_size_is_corrupt_before_memory_is_taken() -> None:
    with pytest.raises(BlobCorrupt, match="not those of 4000000000 characters"):
        restored("segment x", 4_000_000_000, noise(100))


def test_where_texts_are() -> None:
    one, two = (base64.b64encode(noise(LEAST_BYTES)).decode() for _ in range(2))
    data = msgpack.packb({"a": one, "b": [f"data:image/png;base64,{two}", "x" * 80_000 + "!"], "c": noise(300_000), "d": "short"})
    offsets = base64_offsets(data)
    assert [data[start:end].decode() for start, end in zip(offsets[::2], offsets[1::2], strict=True)] == [one, two]
    assert may_hold_base64(data)


def test_data_without_large_texts() -> None:
    data = msgpack.packb({"a": "short", "b": b"y" * 100_000})
    assert (may_hold_base64(data), may_hold_text(data), base64_offsets(data)) == (False, False, [])
    assert may_hold_text(msgpack.packb("two words " * 10_000))
