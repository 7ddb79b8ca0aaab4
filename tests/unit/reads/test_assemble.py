"""Rows of one statement become checkpoints: newest first, each with its own values and with its writes in LangGraph's order."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from ckptstore.db.sql.checkpoints import KIND_PARENT_SEND, KIND_WRITE
from ckptstore.errors import CheckpointCorrupt
from ckptstore.reads.assemble import assemble
from ckptstore.reads.rows import ChannelRow, CheckpointRow, SegmentRow, WriteRow
from ckptstore.records import LoadedCheckpoint
from ckptstore.values.cache import MemoryCache
from ckptstore.values.checksums import channel_checksum
from ckptstore.values.decode import SegmentSet
from ckptstore.values.digests import compact_digest_of

PART = b"part of a value " * 10
DIGEST = compact_digest_of(PART)


def checkpoint_row(
    checkpoint_id: str, versions: dict[str, str | None], parent: str | None = None, *, visible: bool = True, count: int | None = None
) -> CheckpointRow:
    ids = ("t", "", checkpoint_id, parent)
    visible_parent = parent if visible else None
    return CheckpointRow(0, *ids, json.dumps(versions), '{"step": 1}', visible_parent, 4, count, "msgpack", b"body", None)


def channel_row(channel: str, version: str, value: bytes, layout: list[Any] | None = None, size: int | None = None) -> ChannelRow:
    text = None if layout is None else json.dumps(layout)
    return ChannelRow(1, "t", "", None, channel, version, None, text, None, len(value) if size is None else size, "msgpack", value, None)


def write_row(kind: int, checkpoint_id: str, path: str, task: str, idx: int) -> WriteRow:
    return WriteRow(kind, "t", "", checkpoint_id, task, "c", path, None, idx, 1, "msgpack", b"w", None)


def segment_row() -> SegmentRow:
    return SegmentRow(4, "t", None, None, DIGEST, None, None, None, None, len(PART), "raw", PART, None)


def assembled(rows: Sequence[Any]) -> list[LoadedCheckpoint]:
    """In whatever order a database returns them."""
    shuffled = list(rows)
    random.Random(1).shuffle(shuffled)
    return assemble(shuffled, SegmentSet(MemoryCache(0))).result


def test_newest_first_and_every_checkpoint_with_the_versions_that_it_names() -> None:
    rows = [
        checkpoint_row("2", {"a": "v2", "b": "v1", "scalar": None}, parent="1"),
        checkpoint_row("1", {"a": "v1", "b": "v1"}),
        channel_row("a", "v1", b"first"),
        channel_row("a", "v2", b"second"),
        channel_row("b", "v1", b"kept"),
    ]
    found = assembled(rows)
    assert [(each.key.checkpoint_id, each.parent_checkpoint_id) for each in found] == [("2", "1"), ("1", None)]
    values = [{channel: value.data for channel, value in each.values.items()} for each in found]
    assert values == [{"a": b"second", "b": b"kept"}, {"a": b"first", "b": b"kept"}]


def test_a_value_in_segments_is_joined() -> None:
    value = channel_row("a", "v1", b"<>", [1, DIGEST, 1], len(PART) + 2)
    (found,) = assembled([checkpoint_row("1", {"a": "v1"}), value, segment_row()])
    assert found.values["a"].data == b"<" + PART + b">"


def test_writes_come_by_path_task_and_index() -> None:
    order = [("", "x", 0), ("", "x", 1), ("~a", "b", -3), ("~a", "b", 0), ("~b", "a", 0)]
    rows = [checkpoint_row("1", {}), *[write_row(KIND_WRITE, "1", *where) for where in order]]
    (found,) = assembled(rows)
    assert [(write.task_path, write.task_id, write.idx) for write in found.writes] == order


def test_a_parents_sends_belong_to_each_of_its_children_once() -> None:
    sends = [write_row(KIND_PARENT_SEND, "1", "", "x", 0)] * 2
    found = assembled([checkpoint_row("2", {}, "1"), checkpoint_row("3", {}, "1"), *sends])
    assert [[write.idx for write in each.parent_sends] for each in found] == [[0], [0]]
    assert [each.writes for each in found] == [[], []]


def test_a_parent_that_no_read_finds_is_not_named() -> None:
    (found,) = assembled([checkpoint_row("2", {}, "1", visible=False)])
    assert found.parent_checkpoint_id is None


def test_an_altered_value_is_refused_with_the_checkpoint_that_needs_it() -> None:
    checksum = channel_checksum(("t", "", "a", "v1"), "msgpack", 4, b"good", None)
    altered = channel_row("a", "v1", b"evil")._replace(checksum=checksum)
    with pytest.raises(CheckpointCorrupt, match=r"channel 'a'.*needed by checkpoint '1'.*checksum does not match"):
        assembled([checkpoint_row("1", {"a": "v1"}), altered])


def test_missing_values_are_refused_where_their_number_is_known() -> None:
    with pytest.raises(CheckpointCorrupt, match="0 of the 1 stored values"):
        assembled([checkpoint_row("1", {"a": "v1"}, count=1)])
    # A row from before their number was stored, and a channel that never had a value.
    (found,) = assembled([checkpoint_row("1", {"a": "v1"})])
    assert found.values == {}


def test_parts_that_do_not_add_up_are_refused() -> None:
    value = channel_row("a", "v1", b"", [DIGEST] * 3, len(PART))
    with pytest.raises(CheckpointCorrupt, match="do not add up"):
        assembled([checkpoint_row("1", {"a": "v1"}), value, segment_row()])


def test_segments_that_rows_do_not_bring_come_from_the_cache() -> None:
    rows = [
        checkpoint_row("2", {"a": "v1"}),
        channel_row("a", "v1", b"ab", [2, DIGEST], 2 + len(PART)),
        write_row(KIND_WRITE, "2", "", "task", 0)._replace(layout=json.dumps([1, DIGEST]), size=1 + len(PART)),
    ]
    cache = MemoryCache(1_000)
    assert not assemble(rows, SegmentSet(cache, from_cache=True)).segments.all_cached
    cache.put(DIGEST, PART)
    [found], segments, _ = assemble(rows, SegmentSet(cache, from_cache=True))
    assert segments.all_cached
    assert (found.values["a"].data, found.writes[0].value.data) == (b"ab" + PART, b"w" + PART)
