"""What a dry run sees of a store."""

from __future__ import annotations

from typing import Any, cast
from unittest import mock

from ckptstore.store.base import StoreBase
from ckptstore.store.stale_reads import StaleReads


def test_a_dry_run_reads_what_may_be_old() -> None:
    store = cast(Any, mock.create_autospec(StoreBase, instance=True))
    store.objects, store.idle_seconds = mock.Mock(), 3.0
    reads = StaleReads(store)
    assert (reads.read, reads.run_in_queue, reads.idle_seconds) == (store.read_stale, store.run_in_queue, 3.0)
