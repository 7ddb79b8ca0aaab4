"""Checksums of rows: every cell counts, and a copy's checksum follows from the original's."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore.values.checksums import channel_checksum, checkpoint_checksum, copy_mask, write_checksum

KEY = ("t", "ns", "c")
CHECKPOINT: list[Any] = [KEY, "parent", 4, "msgpack", b"body", '{"a":"1"}', "{}", 1]
CHANNEL: list[Any] = ["t", "ns", "messages", "1", "msgpack", 5, b"value", "[5]"]
WRITE: list[Any] = [KEY, "task", 0, "path", "messages", "msgpack", 5, b"value", "[5]"]


def changed(cell: Any) -> Any:
    if isinstance(cell, tuple):
        return (*cell[:-1], changed(cell[-1]))
    return cell + {str: "x", bytes: b"x", int: 1}[type(cell)]


@pytest.mark.parametrize(("checksum", "row"), [(checkpoint_checksum, CHECKPOINT), (channel_checksum, CHANNEL), (write_checksum, WRITE)])
def test_every_cell_counts(checksum: Any, row: list[Any]) -> None:
    others = [checksum(*row[:number], changed(cell), *row[number + 1 :]) for number, cell in enumerate(row)]
    assert len({checksum(*row), *others}) == len(row) + 1


def test_stored_rows_of_earlier_releases_keep_their_checksums() -> None:
    # Part of the file format.
    assert checkpoint_checksum(*CHECKPOINT) == 3_472_462_882
    assert channel_checksum(*CHANNEL) == 2_823_216_677
    assert write_checksum(*WRITE) == 1_467_781_258


def test_cells_do_not_run_into_each_other() -> None:
    assert channel_checksum("t", "ab", "c", "1", "", 0, None, None) != channel_checksum("t", "a", "bc", "1", "", 0, None, None)


@pytest.mark.parametrize(("source", "target"), [("t", "copy"), ("t", "\udc80 lone surrogate")])
def test_the_checksum_of_a_copy_follows_from_the_originals(source: str, target: str) -> None:
    key, copied = (source, *KEY[1:]), (target, *KEY[1:])
    mask = copy_mask(source, target)
    assert checkpoint_checksum(key, *CHECKPOINT[1:]) ^ mask == checkpoint_checksum(copied, *CHECKPOINT[1:])
    assert channel_checksum(source, *CHANNEL[1:]) ^ mask == channel_checksum(target, *CHANNEL[1:])
    assert write_checksum(key, *WRITE[1:]) ^ mask == write_checksum(copied, *WRITE[1:])
