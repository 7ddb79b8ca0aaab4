"""Whether a plan holds after checkpoints were added: compared with what executing it would do to the longer thread."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckptstore.maintenance.prune_additions import PlannedThread
from ckptstore.maintenance.prune_plan import CheckpointRef, Node, ThreadView, keep_all_but, plan_stages
from tests.unit.maintenance.test_prune_plan import node, rebuilt_from, views

COUNTED: dict[str, Any] = {"counters_since_delta_snapshot": {"d": [1, 1]}}


def planned(nodes: list[Node], kept: set[str], stored: set[tuple[str, str, str]] | None = None) -> PlannedThread:
    """A thread of which the checkpoints with these ids are kept."""
    view = ThreadView({each.ref: each for each in nodes}, stored or set(), set(), 0)
    return PlannedThread.of(view, plan_stages(view, {each.ref for each in nodes if each.ref.checkpoint_id in kept}, 2))


CHAIN = [node("", f"{n}", parent=f"{n - 1}" if n else None) for n in range(5)]


@pytest.mark.parametrize(
    ("added", "holds"),
    [
        ([node("", "5", parent="4")], True),
        ([node("", "5", parent="4"), node("", "6", parent="5")], True),
        ([node("", "5")], True),
        ([node("", "5", parent="was pruned long ago")], True),
        ([node("child:1", "5", "4")], True),
        ([node("child:1", "5", "4", **COUNTED), node("child:1", "6", "4", parent="5")], True),
        ([node("", "5", parent="2")], False),
        ([node("child:1", "5", "2")], False),
        ([replace(node("", "5", parent="4"), channel_versions={"d": "1"})], False),
        ([replace(node("", "5", parent="4"), hidden=True)], False),
        ([node("", "5", parent="4", **COUNTED)], False),
        ([node("", "2", parent="4")], False),
    ],
)
def test_a_plan_holds_for_what_builds_on_kept_checkpoints(added: list[Node], holds: bool) -> None:
    thread = planned(CHAIN, {"4"}, {("", "d", f"{n}") for n in range(5)})
    result = thread.with_added(added)
    assert (result is not None) == holds
    if result is not None:
        assert result.with_added([]) == result
        assert result.greatest_id == added[-1].ref.checkpoint_id


def test_a_plan_does_not_hold_where_writes_decide_what_is_needed() -> None:
    old = [replace(each, format=3) for each in CHAIN]
    assert planned(old, {"4"}).with_added([node("", "5", parent="4")]) is None


def test_a_channel_that_the_parent_lacks_is_rebuilt_from_further_back() -> None:
    counted = [node("", "0", **COUNTED), replace(node("", "1", parent="0", **COUNTED), channel_versions={})]
    added = node("", "2", parent="1", **COUNTED)
    assert planned(counted, {"1"}).with_added([added]) is None
    assert planned([counted[0], node("", "1", parent="0", **COUNTED)], {"1"}).with_added([added]) is not None


@settings(max_examples=150, deadline=None)
@given(views(), st.data())
def test_where_a_plan_holds_it_deletes_nothing_that_the_longer_thread_needs(view: ThreadView, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(view.nodes)))
    # A thread grows by visible checkpoints in the current format.
    nodes = [replace(each, hidden=each.hidden and n < cut, format=4) for n, each in enumerate(view.nodes.values())]
    before = ThreadView({each.ref: each for each in nodes[:cut]}, view.stored_values, set(), 0)
    whole = ThreadView({each.ref: each for each in nodes}, view.stored_values, set(), 0)
    visible = sorted(each.ref for each in before.visible)
    removed = data.draw(st.sets(st.sampled_from(visible))) if visible else set()
    thread = PlannedThread.of(before, plan_stages(before, keep_all_but(removed)(before), 2))
    longer = thread.with_added(nodes[cut:])
    if longer is None:
        return
    kept = [each for each in whole.visible if each.ref not in removed]
    deleted_at_last = {ref for ref in thread.deleted if ref not in _kept_hidden(before, removed)}
    for each in kept:
        assert not rebuilt_from(whole, each) & deleted_at_last
        assert not {(each.ref.checkpoint_ns, *pair) for pair in each.channel_versions.items()} & thread.deleted_values
    assert set(longer.added) == {each.ref for each in nodes[cut:]}


def _kept_hidden(view: ThreadView, removed: set[CheckpointRef]) -> set[CheckpointRef]:
    """The removed checkpoints that are hidden instead of deleted, because kept ones are rebuilt from them."""
    return {ref for each in view.visible if each.ref not in removed for ref in rebuilt_from(view, each)}
