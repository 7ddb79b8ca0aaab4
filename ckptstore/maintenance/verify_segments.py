"""Verification of segments in the database: their bytes, and those that a list of segments names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.errors import BlobCorrupt
from ckptstore.maintenance.pages import within_bytes
from ckptstore.values.compression import decompress_segment


class SegmentRef(NamedTuple):
    """A segment of a thread."""

    thread_id: str
    digest: str


class Segment(NamedTuple):
    """One row of `segments_after`, and the digests in its list that the database does not have."""

    thread_id: str
    digest: str
    object_key: str | None
    size: int
    encoding: str
    object_state: str | None
    #: Whether the database has bytes for it.
    has_data: bool
    #: The bytes: always of a segment that lists others, of the rest only with `deep`.
    data: bytes | None
    missing: Sequence[str] = ()


def after_segment(last: Segment) -> dict[str, str]:
    """The key parameters of the page after a segment."""
    return {"after_thread_id": last.thread_id, "after_digest": last.digest}


def read_segments(deep: bool, db: Db, parameters: dict[str, Any]) -> Sequence[Segment]:
    """One page of segments; the segments that the lists among them name are read in the same snapshot, since a prune deletes both."""
    db.expect_long()
    with db.snapshot():
        bounded = within_bytes(db, sql.tables.SEGMENT, parameters) if deep else parameters
        segments = [Segment(*row) for row in db.run(sql.verify.segments_after, bounded, deep)]
        listed = {SegmentRef(segment.thread_id, digest) for segment in segments for digest in listed_digests(segment)}
        keys = db.key_parameters(sql.tables.SEGMENT_KEY, sorted(listed))
        stored = {SegmentRef(*row) for row in db.run(sql.verify.segments_among, keys)} if listed else set()
    missing = listed - stored
    return [
        segment._replace(missing=[digest for digest in listed_digests(segment) if (segment.thread_id, digest) in missing])
        for segment in segments
    ]


def listed_digests(segment: Segment) -> Sequence[str]:
    """The digests that a list of segments names; none of another segment."""
    if segment.encoding != "list" or segment.data is None:
        return ()
    try:
        digests = json.loads(segment.data)
    except ValueError:
        # Corrupt, as the check of its own digest reports.
        return ()
    return [digest for digest in digests if isinstance(digest, str)] if isinstance(digests, list) else ()


def corrupt_digests(segments: Sequence[Segment]) -> list[str]:
    """The digests of those segments whose bytes are others, or missing."""
    return [segment.digest for segment in segments if not _has_right_content(segment)]


def _has_right_content(segment: Segment) -> bool:
    if segment.data is None:
        # The bytes were not read, or are in an object.
        return segment.has_data or segment.object_key is not None
    try:
        decompress_segment(segment.digest, segment.size, segment.encoding, segment.data)
    except BlobCorrupt:
        return False
    return True
