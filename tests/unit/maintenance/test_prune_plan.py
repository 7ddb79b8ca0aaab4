"""Planning a prune: what each stage removes, hides and deletes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.maintenance.prune_plan import CheckpointRef, Node, Stage, ThreadView, keep_all_but, keep_newest, keep_nothing, plan_stages

NOW = 1_000_000_000_000_000


def node(namespace: str, checkpoint_id: str, root: str | None = None, parent: str | None = None, **more: Any) -> Node:
    metadata = json.dumps({"parents": {} if root is None else {"": root}, **more})
    return Node(LANGGRAPH, CheckpointRef(namespace, checkpoint_id), parent, 0, 4, {"d": checkpoint_id}, metadata, 1)


def test_the_newest_checkpoint_of_a_stateful_subgraph_is_removed_last_even_if_an_older_root_ran_last() -> None:
    # The root graph was resumed from its first checkpoint: the subgraph's checkpoint that ran under it is newer than the second's.
    nodes = [node("", "1"), node("", "2"), node("subgraph", "3", "2"), node("subgraph", "4", "1")]
    stages = plan_stages(ThreadView({each.ref: each for each in nodes}, set(), set(), 0), set(), 1)
    removed = [each.ref.checkpoint_id for stage in stages for each in stage.removed if each.ref.checkpoint_ns]
    assert removed == ["3", "4"]


def test_no_stage_deletes_many_hidden_checkpoints_at_once() -> None:
    counted: dict[str, Any] = {"counters_since_delta_snapshot": {"d": [1, 1]}}
    nodes = [node("", f"{n:04}", parent=f"{n - 1:04}" if n else None, **counted) for n in range(1_000)]
    stages = plan_stages(ThreadView({each.ref: each for each in nodes}, set(), set(), 0), set(), 100)
    assert max(len(stage.deleted) for stage in stages) <= 150


def test_a_thread_without_removable_checkpoints_gets_one_empty_stage() -> None:
    nodes = [node("", "1"), node("", "2")]
    view = ThreadView({each.ref: each for each in nodes}, set(), set(), 0)
    assert plan_stages(view, {each.ref for each in nodes}, 10) == [Stage()]


def test_rules_see_visible_checkpoints_only() -> None:
    nodes = [node("", "1"), node("", "2"), node("subgraph", "1"), node("subgraph", "3")]
    hidden = Node(LANGGRAPH, CheckpointRef("", "9"), None, 0, 4, {}, "{}", 1, hidden=True)
    view = ThreadView({each.ref: each for each in (*nodes, hidden)}, set(), set(), 0)
    assert keep_nothing(view) == set()
    assert keep_newest(view) == {CheckpointRef("", "2"), CheckpointRef("subgraph", "3")}
    assert keep_all_but({CheckpointRef("", "1")})(view) == {each.ref for each in nodes[1:]}


def test_keep_newest_removes_what_ran_under_older_roots() -> None:
    nodes = [
        *(node("", f"{turn}0") for turn in range(3)),
        *(node(f"child:{turn}", f"{turn}5", f"{turn}0") for turn in range(3)),
        *(node(f"child:{turn}|leaf:{turn}", f"{turn}6", f"{turn}0") for turn in range(3)),
        node("memory", "07", "00"),
        node("memory", "17", "10"),
        node("other", "08"),
        node("lost:1", "09", "gone"),
    ]
    kept = keep_newest(ThreadView({each.ref: each for each in nodes}, set(), set(), 0))
    assert kept == {
        CheckpointRef("", "20"),
        CheckpointRef("child:2", "25"),
        CheckpointRef("child:2|leaf:2", "26"),
        CheckpointRef("memory", "17"),
        CheckpointRef("other", "08"),
        CheckpointRef("lost:1", "09"),
    }


NAMESPACES = ("", "subgraph", "inner:1")


@st.composite
def views(draw: st.DrawFn) -> ThreadView:
    """Any thread: forks, hidden ancestors, values that are not stored, channels rebuilt from writes, old formats."""
    nodes: dict[CheckpointRef, Node] = {}
    stored: set[tuple[str, str, str]] = set()
    roots: list[CheckpointRef] = []
    for number in range(draw(st.integers(0, 14))):
        namespace = draw(st.sampled_from(NAMESPACES)) if roots else ""
        before = [ref for ref in nodes if ref.checkpoint_ns == namespace]
        parent = draw(st.none() | st.sampled_from(before)) if before else None
        inherited = dict(nodes[parent].channel_versions) if parent else {}
        for channel in draw(st.sets(st.sampled_from("ad"))):
            inherited[channel] = f"{number:04}"
            if channel == "a" or draw(st.booleans()):
                stored.add((namespace, channel, f"{number:04}"))
        metadata: dict[str, Any] = {"parents": {} if namespace == "" else {"": roots[-1].checkpoint_id}}
        if draw(st.booleans()):
            metadata["counters_since_delta_snapshot"] = {"d": [1, 1]}
        ref = CheckpointRef(namespace, f"{number:04}")
        hidden = draw(st.integers(0, 5)) == 0
        version = draw(st.sampled_from((4, 4, 3)))
        nodes[ref] = Node(
            LANGGRAPH, ref, parent.checkpoint_id if parent else None, number, version, inherited, json.dumps(metadata), 1, hidden
        )
        roots += [ref] if namespace == "" else []
    with_task_writes = draw(st.sets(st.sampled_from(sorted(nodes)))) if nodes else set()
    return ThreadView(nodes, stored, with_task_writes, NOW)


def rebuilt_from(view: ThreadView, node: Node) -> set[CheckpointRef]:
    """The ancestors that a checkpoint is rebuilt from, computed in another way: channel by channel, from the checkpoint upwards."""
    found: set[CheckpointRef] = set()
    if node.format < 4 and node.parent is not None and node.parent in view.with_task_writes and node.parent in view.nodes:
        found.add(node.parent)
    for channel in node.channel_versions:
        namespace = node.ref.checkpoint_ns
        counted = any(each.ref.checkpoint_ns == namespace and channel in each.delta_channels for each in view.nodes.values())
        here: Node | None = node if counted else None
        while here is not None and (namespace, channel, here.channel_versions.get(channel)) not in view.stored_values:
            here = view.nodes.get(here.parent) if here.parent else None
            found |= {here.ref} if here else set()
    return found


def versions_of(node: Node) -> set[tuple[str, str, str | None]]:
    return {(node.ref.checkpoint_ns, channel, version) for channel, version in node.channel_versions.items()}


def assert_readable(was: ThreadView, nodes: dict[CheckpointRef, Node], hidden: set[CheckpointRef], stored: set[Any]) -> None:
    for node in nodes.values():
        assert versions_of(node) & was.stored_values <= stored, "a value is deleted to which a remaining checkpoint refers"
        if node.ref not in hidden:
            assert rebuilt_from(was, node) <= nodes.keys(), "a checkpoint is deleted from which a visible one is rebuilt"


def apply(stage: Stage, nodes: dict[CheckpointRef, Node], hidden: set[CheckpointRef], stored: set[Any]) -> None:
    visible = nodes.keys() - hidden
    assert {node.ref for node in stage.removed} <= visible, "what is removed was visible"
    assert set(stage.hidden) <= {node.ref for node in stage.removed}
    hidden |= set(stage.hidden)
    for ref in stage.deleted:
        del nodes[ref]
    assert {node.ref for node in stage.removed} <= hidden | (visible - nodes.keys())
    assert set(stage.values) <= stored
    stored -= set(stage.values)


@settings(max_examples=300, deadline=None)
@given(views(), st.data(), st.integers(1, 4))
def test_after_every_stage_visible_checkpoints_read_as_before(view: ThreadView, data: st.DataObject, max_per_stage: int) -> None:
    visible = sorted(node.ref for node in view.visible)
    kept = data.draw(st.sets(st.sampled_from(visible))) if visible else set()
    stages = plan_stages(view, kept, max_per_stage)
    nodes, hidden, stored = dict(view.nodes), {node.ref for node in view.nodes.values() if node.hidden}, set(view.stored_values)
    removed_in = {node.ref: number for number, stage in enumerate(stages) for node in stage.removed}
    assert len(removed_in) == sum(len(stage.removed) for stage in stages) == len(visible) - len(kept)
    assert stages
    for stage in stages:
        assert len(stage.removed) <= max_per_stage
        apply(stage, nodes, hidden, stored)
        assert_readable(view, nodes, hidden & nodes.keys(), stored)
    needed = set().union(*(rebuilt_from(view, view.nodes[ref]) for ref in kept)) if kept else set()
    assert nodes.keys() == kept | needed, "only the kept checkpoints are left, and those that they are rebuilt from"
    assert nodes.keys() - hidden == kept
    assert stored == view.stored_values & set().union(*map(versions_of, nodes.values()))
    for namespace in {ref.checkpoint_ns for ref in removed_in}:
        in_namespace = [ref for ref in visible if ref.checkpoint_ns == namespace]
        newest = max(in_namespace)
        assert newest in kept or removed_in[newest] == max(removed_in[ref] for ref in in_namespace if ref in removed_in)
