"""What a database can do."""

from __future__ import annotations

import dataclasses

import pytest

from ckptstore.db.capabilities import PLAIN, Capabilities, of_distributed


def test_a_database_is_a_plain_one_unless_found_otherwise() -> None:
    assert Capabilities() == PLAIN
    assert PLAIN.joins_threads
    assert PLAIN.one_snapshot
    assert PLAIN.shards == 0


@pytest.mark.parametrize("by_thread", [True, False])
def test_no_distributed_database_has_one_snapshot_for_all_nodes(by_thread: bool) -> None:
    found = of_distributed(8, by_thread=by_thread)
    assert (found.one_snapshot, found.counts_inserted, found.partitions, found.shards) == (False, False, False, 8)
    assert found.joins_threads is not by_thread


def test_capabilities_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PLAIN.shards = 1  # type: ignore[misc]
