"""Retention policies as users write them, and the pure decision of how a thread comes to what a policy keeps."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckptstore import RetentionPolicy
from ckptstore.errors import InvalidPolicy
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.maintenance.prune_plan import CheckpointRef, Node, Stage, ThreadView, plan_stages

NOW = 1_000_000_000_000_000
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("name", "given_value"),
    [(name, value) for name in ("max_age", "thread_ttl") for value in (30, "30d", timedelta(-1), timedelta.max, True)]
    + [("keep_last", value) for value in (0, -1, True, 1.0, "3")]
    + [
        ("keep_tags", value)
        for value in ("pinned", 5, [{}], {}, [None], [[]], ["pinned"], {"a": {"$near": 1}}, {1: 2}, [{"a": 1}, {"b": {"$in": 1}}])
        if value != {}
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(name: str, given_value: Any) -> None:
    with pytest.raises(InvalidPolicy, match=name):
        RetentionPolicy(**{"keep_last": 3, name: given_value})


@pytest.mark.parametrize("nothing", [{}, {"keep_tags": {"pinned": True}}])
def test_a_policy_that_deletes_nothing_is_refused(nothing: dict[str, Any]) -> None:
    with pytest.raises(InvalidPolicy, match="give max_age, keep_last or thread_ttl"):
        RetentionPolicy.from_dict(nothing)


@pytest.mark.parametrize("name", ["max_age", "thread_ttl"])
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (timedelta(hours=5), timedelta(hours=5)),
        (30, 30 * DAY),
        (0.5, DAY / 2),
        (0, timedelta(0)),
        ("30d", 30 * DAY),
        ("12h", DAY / 2),
        ("90m", timedelta(minutes=90)),
        ("2w", 14 * DAY),
        ("45s", timedelta(seconds=45)),
        (" 1.5 d ", 1.5 * DAY),
        ("7", 7 * DAY),
    ],
)
def test_ages_as_people_write_them(name: str, written: Any, meant: timedelta) -> None:
    assert getattr(RetentionPolicy.from_dict({name: written}), name) == meant


@pytest.mark.parametrize("name", ["max_age", "thread_ttl"])
@pytest.mark.parametrize(
    "wrong",
    ["", "d", "soon", "30x", "30 days", "1d2h", "-1d", -1, True, "nan", "nand", float("nan"), "inf", float("inf"), 1e300, "1e300w", [], {}],
    ids=repr,
)
def test_ages_that_are_none_are_refused_by_name(name: str, wrong: Any) -> None:
    with pytest.raises(InvalidPolicy, match=name):
        RetentionPolicy.from_dict({name: wrong})


def test_an_unknown_key_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InvalidPolicy, match=r"unknown key 'max_days'.*max_age, keep_last, thread_ttl, keep_tags"):
        RetentionPolicy.from_dict({"max_days": 3})
    with pytest.raises(InvalidPolicy, match="list"):
        RetentionPolicy.from_dict([])  # type: ignore[arg-type]


POLICY = 'max_age = "30d"\nkeep_last = 5\nkeep_tags = [{ pinned = true }]\n'
MEANT = RetentionPolicy(max_age=30 * DAY, keep_last=5, keep_tags=[{"pinned": True}])


@pytest.mark.parametrize(
    "text",
    [
        POLICY,
        f"[retention]\n{POLICY}",
        f"[project]\nname = 'x'\n[tool.ckptstore.retention]\n{POLICY}",
        f"[retention]\nkeep_last = 1\n[tool.ckptstore.retention]\n{POLICY}",
        f"[tool.other]\nx = 1\n[retention]\n{POLICY}",
    ],
)
def test_a_policy_from_a_toml_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "policy.toml").write_text(text)
    assert RetentionPolicy.from_toml(tmp_path / "policy.toml") == MEANT
    assert RetentionPolicy.from_toml(str(tmp_path / "policy.toml")) == MEANT


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"max_age = 30d", "policy.toml is not valid TOML"),
        (b"\xff\xfe", "policy.toml is not valid TOML"),
        (b"[retention]\nmax_ages = 3", "unknown key 'max_ages'"),
        (b"[build-system]\nrequires = []", "unknown key 'build-system'"),
        (b"retention = 3", "int"),
        (b"[tool.ckptstore]\nretention = 'x'", "str"),
        (b"", "never deletes anything"),
        (b"max_age = 2020-01-01", "max_age"),
        (b"keep_last = 1\nkeep_tags = 'pinned'", "keep_tags"),
    ],
)
def test_a_file_that_is_no_policy_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "policy.toml").write_bytes(content)
    with pytest.raises(InvalidPolicy, match=said):
        RetentionPolicy.from_toml(tmp_path / "policy.toml")


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RetentionPolicy.from_toml(tmp_path / "nowhere.toml")


tags = st.lists(st.dictionaries(st.text("ab", min_size=1), st.booleans() | st.just({"$gte": 3}), min_size=1), max_size=2)
ages = st.none() | st.integers(0, 36_600).map(lambda days: days * DAY)


@given(ages, st.none() | st.integers(1, 10**6), ages, tags)
def test_plain_values_make_the_same_policy(max_age: Any, keep_last: Any, thread_ttl: Any, keep_tags: Any) -> None:
    if (max_age, keep_last, thread_ttl) == (None, None, None):
        keep_last = 1
    policy = RetentionPolicy(max_age=max_age, keep_last=keep_last, thread_ttl=thread_ttl, keep_tags=keep_tags)
    assert RetentionPolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


def test_one_filter_is_a_list_of_one() -> None:
    one = RetentionPolicy(keep_last=1, keep_tags={"pinned": True})
    assert one == RetentionPolicy(keep_last=1, keep_tags=[{"pinned": True}])


@pytest.mark.parametrize(
    ("keep_tags", "kept"),
    [
        ({"pinned": True}, [2]),
        ({"pinned": {"$exists": True}}, [2, 3]),
        ([{"pinned": True}, {"step": 0}], [0, 2]),
        ({"pinned": True, "step": 0}, []),
        ({"step": {"$gte": 1, "$lt": 3}}, [1, 2]),
        ({"step": {"$in": [0, 3, True]}}, [0, 3]),
        ({"pinned": 1}, []),
    ],
)
def test_exempt_are_just_those_that_match(keep_tags: Any, kept: list[int]) -> None:
    told: list[dict[str, Any]] = [{"step": 0}, {"step": 1}, {"step": 2, "pinned": True}, {"step": 3, "pinned": False}, {"step": 4}]
    nodes = [Node(LANGGRAPH, CheckpointRef("", str(n)), None, 0, 4, {}, json.dumps(each), 1) for n, each in enumerate(told)]
    view = ThreadView({node.ref: node for node in nodes}, set(), set(), NOW)
    policy = RetentionPolicy(keep_last=1, keep_tags=keep_tags)
    assert policy.rule(NOW)(view) == {CheckpointRef("", str(n)) for n in [*kept, 4]}


# --- stages ------------------------------------------------------------------------------------------------------------

NAMESPACES = ("", "memory", "inner:1")


@st.composite
def views(draw: st.DrawFn) -> ThreadView:
    """Any thread: forks, hidden ancestors, values that are not stored, channels rebuilt from writes, old formats."""
    nodes: dict[CheckpointRef, Node] = {}
    stored: set[tuple[str, str, str]] = set()
    roots: list[CheckpointRef] = []
    for number in range(draw(st.integers(0, 14))):
        namespace = draw(st.sampled_from(NAMESPACES)) if roots else ""
        before = [place for place in nodes if place.checkpoint_ns == namespace]
        parent = draw(st.none() | st.sampled_from(before)) if before else None
        inherited = dict(nodes[parent].channel_versions) if parent else {}
        for channel in draw(st.sets(st.sampled_from("ad"))):
            inherited[channel] = f"{number:04}"
            if channel == "a" or draw(st.booleans()):
                stored.add((namespace, channel, inherited[channel]))
        told: dict[str, Any] = {"parents": {} if namespace == "" else {"": roots[-1].checkpoint_id}}
        if draw(st.booleans()):
            told["counters_since_delta_snapshot"] = {"d": [1, 1]}
        place = CheckpointRef(namespace, f"{number:04}")
        hidden = draw(st.integers(0, 5)) == 0
        version = draw(st.sampled_from((4, 4, 3)))
        nodes[place] = Node(
            LANGGRAPH, place, parent.checkpoint_id if parent else None, number, version, inherited, json.dumps(told), 1, hidden
        )
        roots += [place] if namespace == "" else []
    sends = draw(st.sets(st.sampled_from(sorted(nodes)))) if nodes else set()
    return ThreadView(nodes, stored, sends, NOW)


def read_from(view: ThreadView, node: Node) -> set[CheckpointRef]:
    """What a checkpoint is read from, said another way: channel by channel, from the checkpoint up."""
    found: set[CheckpointRef] = set()
    if node.format < 4 and node.parent in view.with_task_writes and node.parent in view.nodes:
        found.add(node.parent)
    for channel in node.channel_versions:
        namespace = node.ref.checkpoint_ns
        counted = any(each.ref.checkpoint_ns == namespace and channel in each.delta_channels for each in view.nodes.values())
        here: Node | None = node if counted else None
        while here is not None and (namespace, channel, here.channel_versions.get(channel)) not in view.stored_values:
            here = view.nodes.get(here.parent) if here.parent else None
            found |= {here.ref} if here else set()
    return found


def names(node: Node) -> set[tuple[str, str, str]]:
    return {(node.ref.checkpoint_ns, channel, version) for channel, version in node.channel_versions.items()}


def check_whole(was: ThreadView, nodes: dict[CheckpointRef, Node], hidden: set[CheckpointRef], stored: set[Any]) -> None:
    for node in nodes.values():
        assert names(node) & was.stored_values <= stored, "a value goes that a remaining checkpoint names"
        if node.ref not in hidden:
            assert read_from(was, node) <= nodes.keys(), "a checkpoint goes that a visible one is read from"


def apply(stage: Stage, nodes: dict[CheckpointRef, Node], hidden: set[CheckpointRef], stored: set[Any]) -> None:
    visible = nodes.keys() - hidden
    assert {node.ref for node in stage.removed} <= visible, "what is lost could be found"
    assert set(stage.hidden) <= {node.ref for node in stage.removed}
    hidden |= set(stage.hidden)
    for place in stage.deleted:
        del nodes[place]
    assert {node.ref for node in stage.removed} <= hidden | (visible - nodes.keys())
    assert set(stage.values) <= stored
    stored -= set(stage.values)


@settings(max_examples=300, deadline=None)
@given(views(), st.data(), st.integers(1, 4))
def test_after_every_stage_what_is_visible_has_all_that_it_is_read_from(view: ThreadView, data: st.DataObject, most: int) -> None:
    visible = sorted(node.ref for node in view.visible)
    kept = data.draw(st.sets(st.sampled_from(visible))) if visible else set()
    stages = plan_stages(view, kept, most)
    nodes, hidden, stored = dict(view.nodes), {node.ref for node in view.nodes.values() if node.hidden}, set(view.stored_values)
    lost_in = {node.ref: number for number, stage in enumerate(stages) for node in stage.removed}
    assert len(lost_in) == sum(len(stage.removed) for stage in stages) == len(visible) - len(kept)
    assert stages
    for stage in stages:
        assert len(stage.removed) <= most
        apply(stage, nodes, hidden, stored)
        check_whole(view, nodes, hidden & nodes.keys(), stored)
    needed = set().union(*(read_from(view, view.nodes[place]) for place in kept)) if kept else set()
    assert nodes.keys() == kept | needed, "just what is kept is left, and what that is read from"
    assert nodes.keys() - hidden == kept
    assert stored == view.stored_values & set().union(*map(names, nodes.values()))
    for namespace in {place.checkpoint_ns for place in lost_in}:
        of_it = [place for place in visible if place.checkpoint_ns == namespace]
        newest = max(of_it)
        assert newest in kept or lost_in[newest] == max(lost_in[place] for place in of_it if place in lost_in)


@pytest.mark.parametrize("age", ["45s", timedelta(days=1, seconds=1), timedelta(days=12345, hours=7)])
def test_an_age_of_a_part_of_a_day_is_the_same_after_a_round_trip(age: Any) -> None:
    policy = RetentionPolicy.from_dict({"max_age": age})
    assert RetentionPolicy.from_dict(policy.to_dict()) == policy


@pytest.mark.parametrize("text", ["tool = 3", "[tool]\nckptstore = 'x'"])
def test_a_file_whose_tables_are_none_is_no_policy(tmp_path: Path, text: str) -> None:
    (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(InvalidPolicy):
        RetentionPolicy.from_toml(tmp_path / "policy.toml")


def test_plain_values_of_a_policy_are_json() -> None:
    policy = RetentionPolicy(keep_last=1, keep_tags={"kind": {"$in": {"a", "b"}}})
    assert RetentionPolicy.from_dict(json.loads(json.dumps(policy.to_dict()))).keep_last == 1
