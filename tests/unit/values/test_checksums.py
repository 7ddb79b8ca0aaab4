"""Checksums of rows: every cell counts, and a copy's checksum follows from the original's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ckptstore.values.checksums import channel_checksum, checkpoint_checksum, copy_mask, write_checksum

KEY = ("t", "ns", "c")
CHECKPOINT: list[Any] = [KEY, "parent", 4, "msgpack", b"body", '{"a":"1"}', "{}", 1]
CHANNEL: list[Any] = [("t", "ns", "messages", "1"), "msgpack", 5, b"value", "[5]"]
WRITE: list[Any] = [(*KEY, "task", 0), "path", "messages", "msgpack", 5, b"value", "[5]"]

KINDS: list[Any] = [(checkpoint_checksum, CHECKPOINT), (channel_checksum, CHANNEL), (write_checksum, WRITE)]


def changed(cells: Sequence[Any], number: int) -> list[Any]:
    cell = cells[number]
    return [*cells[:number], cell + {str: "x", bytes: b"x", int: 1}[type(cell)], *cells[number + 1 :]]


@pytest.mark.parametrize(("checksum", "row"), KINDS)
def test_every_cell_counts(checksum: Any, row: list[Any]) -> None:
    key, *cells = row
    other_keys = [checksum(changed(key, number), *cells) for number in range(len(key))]
    other_cells = [checksum(key, *changed(cells, number)) for number in range(len(cells))]
    assert len({checksum(*row), *other_keys, *other_cells}) == len(key) + len(cells) + 1


def test_stored_rows_of_earlier_releases_keep_their_checksums() -> None:
    # Part of the file format.
    assert checkpoint_checksum(*CHECKPOINT) == 3_472_462_882
    assert channel_checksum(*CHANNEL) == 2_823_216_677
    assert write_checksum(*WRITE) == 1_467_781_258


def test_cells_do_not_run_into_each_other() -> None:
    assert channel_checksum(("t", "ab", "c", "1"), "", 0, None, None) != channel_checksum(("t", "a", "bc", "1"), "", 0, None, None)


@pytest.mark.parametrize(("source", "target"), [("t", "copy"), ("t", "\udc80 lone surrogate")])
def test_the_checksum_of_a_copy_follows_from_the_originals(source: str, target: str) -> None:
    mask = copy_mask(source, target)
    for checksum, ((_, *key), *cells) in KINDS:
        assert checksum((source, *key), *cells) ^ mask == checksum((target, *key), *cells)
