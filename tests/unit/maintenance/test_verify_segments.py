"""Segments are checked by their digests, and lists of segments by what they name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ckptstore.maintenance.verify_segments import Segment, after_segment, corrupt_digests, listed_digests
from ckptstore.values.digests import compact_digest_of


def segment(data: bytes | None, **changed: Any) -> Segment:
    found = Segment("t", compact_digest_of(data or b""), None, len(data or b""), "raw", None, data is not None, data)
    return found._replace(**changed)


def test_altered_and_absent_bytes_are_corrupt() -> None:
    right, altered = segment(b"right"), segment(b"right")._replace(data=b"wrong")
    not_read, in_object, nowhere = segment(None, has_data=True), segment(None, object_key="ab/cd"), segment(None)
    assert corrupt_digests([right, not_read, in_object]) == []
    assert corrupt_digests([altered, nowhere]) == [altered.digest, nowhere.digest]
    assert after_segment(right) == {"after_thread_id": "t", "after_digest": right.digest}


@pytest.mark.parametrize(
    ("data", "named"), [(json.dumps(["a", "b", 3]).encode(), ["a", "b"]), (b"{}", []), (b"\xff", []), (b"[", []), (None, [])], ids=str
)
def test_only_a_list_that_can_be_parsed_names_segments(data: bytes | None, named: list[str]) -> None:
    assert list(listed_digests(segment(data, encoding="list"))) == named
    assert list(listed_digests(segment(data))) == []
