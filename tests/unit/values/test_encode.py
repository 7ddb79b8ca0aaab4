"""Which parts of a record's values stay in their row, become segments, or exist already."""

from __future__ import annotations

import json
import os

import msgpack

from ckptstore.records import CheckpointKey, NewWrite, NewWrites, Value
from ckptstore.values.chunking import BLOB_BYTES
from ckptstore.values.digests import matches_digest
from ckptstore.values.encode import LARGE_BYTES, chunk_values, encode, encode_small, is_large, needs_blob_storage

KEY = CheckpointKey("t", "", "c")


def record(*values: Value) -> NewWrites:
    return NewWrites(KEY, "task", "", 0, [NewWrite(number, "x", value) for number, value in enumerate(values)], False)


def test_small_values_stay_in_their_rows_as_they_are() -> None:
    encoded = encode_small(record(Value("bytes", b"small"), Value("null", b"")))
    assert encoded is not None
    assert [(form.value, form.layout) for form in encoded.forms] == [(b"small", None), (None, None)]
    assert (encoded.size, encoded.segments, encoded.blocks_thread) == (5, (), False)


def test_long_values_and_those_that_refer_to_blobs_are_left_to_others() -> None:
    assert encode_small(record(Value("bytes", b"x" * 10_000))) is None
    assert encode_small(record(Value("bytes", b"small", blob_digests=("ab" * 32,)))) is None


def test_a_segment_that_the_thread_has_is_named_and_not_sent() -> None:
    written = record(Value("bytes", os.urandom(20_000)))
    chunked = chunk_values(written)
    first = encode(written, lambda _digests: set(), chunked)
    sent = {segment.digest for segment in first.segments}
    assert sent
    second = encode(written, lambda digests: set(digests) & sent, chunked)
    assert (list(second.segments), set(second.known)) == ([], sent)
    assert second.forms == first.forms
    assert sent <= {part for part in json.loads(first.forms[0].layout or "[]") if isinstance(part, str)}
    # What builds on it may turn out to miss something.
    assert (first.blocks_thread, second.blocks_thread) == (False, True)


def test_the_same_segment_in_two_values_is_sent_once() -> None:
    value = Value("bytes", os.urandom(20_000))
    written = record(value, value)
    digests = [segment.digest for segment in encode(written, lambda _digests: set(), chunk_values(written)).segments]
    assert len(digests) == len(set(digests))


def test_large_records_are_encoded_elsewhere() -> None:
    assert is_large(record(Value("bytes", b"x" * LARGE_BYTES)))
    assert not is_large(record(Value("bytes", b"x" * (LARGE_BYTES - 1))))
    handle = record(Value("msgpack", b"small", blob_digests=("ab" * 32,)))
    assert needs_blob_storage(chunk_values(handle))
    assert not needs_blob_storage(chunk_values(record(Value("bytes", b"small"))))


def test_new_segments_are_remembered_but_for_large_ones() -> None:
    elements = [f"{number} " * 100 for number in range(300)]
    data: bytes = msgpack.packb(elements)
    written = record(Value("msgpack", data), Value("bytes", b"x" * BLOB_BYTES))
    chunked, remembered = chunk_values(written), dict[str, bytes]()
    encoded = encode(written, lambda _digests: set(), chunked, remembered.__setitem__)
    sizes = {segment.digest: segment.size for segment in encoded.segments}
    assert {digest: len(content) for digest, content in remembered.items()} == {
        digest: size for digest, size in sizes.items() if size < BLOB_BYTES
    }
    assert len(remembered) == len(sizes) - 1
    assert {type(content) for content in remembered.values()} == {bytes}
    assert all(matches_digest(digest, content) for digest, content in remembered.items())
    assert chunked[0].lists
