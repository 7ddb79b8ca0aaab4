"""Values from the parts that rows and segments hold, checked on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ckptstore.errors import BlobCorrupt, BlobMissing
from ckptstore.records import Layout, LoadedSegment
from ckptstore.values.cache import MemoryCache
from ckptstore.values.decode import SegmentSet, StoredValue
from ckptstore.values.digests import compact_digest_of, list_digest

PARTS = [b"a" * 100, b"b" * 200]
DIGESTS = [compact_digest_of(part) for part in PARTS]
LISTING = json.dumps(DIGESTS).encode()


def loaded(*parts: LoadedSegment) -> SegmentSet:
    segments = SegmentSet(MemoryCache(1000))
    for part in parts:
        segments.add(part)
    segments.decompress()
    return segments


def raw(number: int) -> LoadedSegment:
    return LoadedSegment(DIGESTS[number], None, len(PARTS[number]), "raw", PARTS[number])


def test_literal_bytes_and_segments_are_joined_in_the_order_of_the_layout() -> None:
    segments = loaded(raw(0), raw(1), LoadedSegment(list_digest(LISTING), None, len(LISTING), "list", LISTING))
    assert StoredValue("", b"<>", [1, DIGESTS[1], 1, DIGESTS[0]], segments).data == b"<" + PARTS[1] + b">" + PARTS[0]
    assert StoredValue("", b"<>", [1, list_digest(LISTING), 1], segments).data == b"<" + PARTS[0] + PARTS[1] + b">"
    assert StoredValue("", b"all of it", None, segments).data == b"all of it"


def test_a_missing_segment_is_reported() -> None:
    with pytest.raises(BlobMissing):
        _ = StoredValue("", b"", DIGESTS, loaded(raw(0))).data


@pytest.mark.parametrize("encoding", ["raw", "list"])
def test_bytes_of_another_digest_are_refused(encoding: str) -> None:
    with pytest.raises(BlobCorrupt):
        loaded(LoadedSegment(DIGESTS[0], None, 100, encoding, b"[]" + b" " * 98))


def test_parts_must_fit_the_registered_size() -> None:
    segments = loaded(raw(0), raw(1))
    layout: Layout = [2, *DIGESTS]
    assert segments.fit(2, layout, 302)
    assert not segments.fit(2, layout, 301)
    # Other literal bytes than the layout takes.
    assert not segments.fit(3, layout, 303)


def cached(*contents: tuple[str, bytes]) -> SegmentSet:
    cache = MemoryCache(1000)
    for digest, content in contents:
        cache.put(digest, content)
    return SegmentSet(cache, from_cache=True)


def is_complete(segments: SegmentSet, *layouts: Layout) -> bool:
    for layout in layouts:
        segments.add_cached(layout)
    return segments.all_cached


def test_segments_come_from_the_cache_if_all_of_them_are_there() -> None:
    name = list_digest(LISTING)
    segments = cached((name, LISTING), *zip(DIGESTS, PARTS, strict=True))
    assert is_complete(segments, [2, name], [DIGESTS[0], None, "@of a blob"], [3], [])
    assert StoredValue("", b"<>", [1, name, 1], segments).data == b"<" + PARTS[0] + PARTS[1] + b">"
    assert segments.fit(2, [2, name], 302)
    assert not segments.fit(2, [2, name], 301)
    assert not is_complete(cached(*zip(DIGESTS, PARTS, strict=True)), [name])
    assert not is_complete(cached((name, LISTING), (DIGESTS[0], PARTS[0])), [name], [DIGESTS[0]])


def test_a_set_knows_whether_all_was_in_the_cache() -> None:
    listed = LoadedSegment(list_digest(LISTING), None, len(LISTING), "list", LISTING)
    cache = MemoryCache(1000)
    found = []
    for _ in range(2):
        segments = SegmentSet(cache)
        for part in (raw(0), raw(1), listed, LoadedSegment("@of a blob", "key", 10, "raw", None)):
            segments.add(part)
        segments.decompress()
        found.append(segments.all_cached)
    segments.add(LoadedSegment(compact_digest_of(b"large"), "key", 5, "raw", None))
    assert [*found, segments.all_cached] == [False, True, False]


@pytest.mark.parametrize("size", [-1, None, "1"])
def test_no_value_fits_a_segment_whose_size_is_impossible(size: Any) -> None:
    segments = loaded()
    segments.add(LoadedSegment(DIGESTS[0], "key", size, "raw", None))
    assert not segments.fit(0, [DIGESTS[0]], 1_000)
