"""Rows that were altered, with checksums and without."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore.errors import CheckpointCorrupt
from ckptstore.reads.row_checks import altered, refuse
from ckptstore.reads.rows import ChannelRow, CheckpointRow, StoredRow, WriteRow
from ckptstore.values.checksums import channel_checksum

CHECKPOINT = CheckpointRow(0, "t", "", "1", None, "{}", "{}", None, 4, 0, "msgpack", b"body", None)
CHANNEL = ChannelRow(1, "t", "", None, "c", "1", None, None, None, 4, "msgpack", b"1234", None)
WRITE = WriteRow(2, "t", "", "1", "task", "c", "", None, 0, 4, "msgpack", b"1234", None)


def test_a_row_without_a_checksum_is_intact_while_its_cells_have_their_types() -> None:
    assert altered([CHECKPOINT, CHANNEL, WRITE]) == []


@pytest.mark.parametrize("row", [CHECKPOINT, CHANNEL, WRITE], ids=["checkpoint", "channel", "write"])
def test_a_cell_of_another_type_is_noticed_in_every_column(row: StoredRow) -> None:
    for name in row._fields:
        wrong: dict[str, Any] = {name: 1.5}
        assert altered([row._replace(**wrong)]) or name == "checksum", name


def test_a_row_with_a_checksum_is_compared_with_it() -> None:
    checksum = channel_checksum(("t", "", "c", "1"), "msgpack", 4, b"1234", None)
    assert altered([CHANNEL._replace(checksum=checksum)]) == []
    wrong: list[StoredRow] = [CHANNEL._replace(checksum=checksum + 1), CHANNEL._replace(checksum=checksum, size=None)]  # type: ignore[arg-type]
    assert altered(wrong) == wrong


def test_the_error_says_by_what_it_was_noticed() -> None:
    with pytest.raises(CheckpointCorrupt, match=r"channel 'c' of thread 't'.*another type than its column"):
        refuse(CHANNEL)
    with pytest.raises(CheckpointCorrupt, match=r"needed by checkpoint '1'.*the checksum does not match"):
        refuse(CHANNEL._replace(checksum=5), [CHECKPOINT._replace(channel_versions='{"c": "1"}')])
