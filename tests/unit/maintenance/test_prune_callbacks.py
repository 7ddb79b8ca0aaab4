"""What a caller gives a prune."""

from __future__ import annotations

from ckptstore.maintenance.prune_callbacks import NO_CALLBACKS, PruneCallbacks
from ckptstore.maintenance.reports import PruneReport


def test_without_any_a_prune_runs_to_its_end_and_shows_nothing() -> None:
    assert PruneCallbacks() == NO_CALLBACKS
    NO_CALLBACKS.progress(PruneReport())
    assert NO_CALLBACKS.should_stop() is False
