"""Retention policies: how users write them, and which checkpoints they keep."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptstore import RetentionPolicy
from ckptstore.errors import InvalidPolicy
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.maintenance.policy import with_names
from ckptstore.maintenance.prune_plan import CheckpointRef, Node, ThreadView

NOW = 1_000_000_000_000_000
DAY = timedelta(days=1)


INVALID_TAGS: list[Any] = ["pinned", 5, [{}], [None], [[]], ["pinned"], {"a": {"$near": 1}}, {1: 2}, [{"a": 1}, {"b": {"$in": 1}}]]
INVALID: list[tuple[str, Any]] = [
    *((name, value) for name in ("max_age", "thread_ttl") for value in (30, "30d", timedelta(-1), timedelta.max, True)),
    *(("keep_last", value) for value in (0, -1, True, 1.0, "3")),
    *(("keep_tags", value) for value in INVALID_TAGS),
]


@pytest.mark.parametrize(
    ("name", "given_value"),
    INVALID,
)
def test_an_invalid_value_is_refused_and_its_field_named(name: str, given_value: Any) -> None:
    with pytest.raises(InvalidPolicy, match=name):
        RetentionPolicy(**{"keep_last": 3, name: given_value})


@pytest.mark.parametrize("nothing", [{}, {"keep_tags": {"pinned": True}}])
def test_a_policy_that_deletes_nothing_is_refused(nothing: dict[str, Any]) -> None:
    with pytest.raises(InvalidPolicy, match="give max_age, keep_last or thread_ttl"):
        RetentionPolicy.from_dict(nothing)


@pytest.mark.parametrize("name", ["max_age", "thread_ttl"])
@pytest.mark.parametrize(
    ("text", "expected"),
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
def test_ages_are_parsed(name: str, text: Any, expected: timedelta) -> None:
    assert getattr(RetentionPolicy.from_dict({name: text}), name) == expected


@pytest.mark.parametrize("name", ["max_age", "thread_ttl"])
@pytest.mark.parametrize(
    "invalid",
    ["", "d", "soon", "30x", "30 days", "1d2h", "-1d", -1, True, "nan", "nand", float("nan"), "inf", float("inf"), 1e300, "1e300w", [], {}],
    ids=repr,
)
def test_invalid_ages_are_refused_and_their_field_named(name: str, invalid: Any) -> None:
    with pytest.raises(InvalidPolicy, match=name):
        RetentionPolicy.from_dict({name: invalid})


def test_an_unknown_key_is_named_with_the_known_ones() -> None:
    with pytest.raises(InvalidPolicy, match=r"unknown key 'max_days'.*max_age, keep_last, thread_ttl, keep_tags"):
        RetentionPolicy.from_dict({"max_days": 3})
    with pytest.raises(InvalidPolicy, match="list"):
        RetentionPolicy.from_dict([])  # type: ignore[arg-type]


POLICY = 'max_age = "30d"\nkeep_last = 5\nkeep_tags = [{ pinned = true }]\n'
EXPECTED = RetentionPolicy(max_age=30 * DAY, keep_last=5, keep_tags=[{"pinned": True}])


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
def test_a_policy_is_read_from_a_toml_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "policy.toml").write_text(text)
    assert RetentionPolicy.from_toml(tmp_path / "policy.toml") == EXPECTED
    assert RetentionPolicy.from_toml(str(tmp_path / "policy.toml")) == EXPECTED


@pytest.mark.parametrize(
    ("content", "message"),
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
def test_an_invalid_file_raises_invalid_policy(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "policy.toml").write_bytes(content)
    with pytest.raises(InvalidPolicy, match=message):
        RetentionPolicy.from_toml(tmp_path / "policy.toml")


def test_a_missing_file_raises_the_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RetentionPolicy.from_toml(tmp_path / "nowhere.toml")


tags = st.lists(st.dictionaries(st.text("ab", min_size=1), st.booleans() | st.just({"$gte": 3}), min_size=1, max_size=4), max_size=2)
ages = st.none() | st.integers(0, 36_600).map(lambda days: days * DAY)


@given(ages, st.none() | st.integers(1, 10**6), ages, tags)
def test_a_policy_survives_a_round_trip_through_plain_values(max_age: Any, keep_last: Any, thread_ttl: Any, keep_tags: Any) -> None:
    if (max_age, keep_last, thread_ttl) == (None, None, None):
        keep_last = 1
    policy = RetentionPolicy(max_age=max_age, keep_last=keep_last, thread_ttl=thread_ttl, keep_tags=keep_tags)
    assert RetentionPolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


def test_a_single_filter_equals_a_list_of_it() -> None:
    one = RetentionPolicy(keep_last=1, keep_tags={"pinned": True})  # type: ignore[arg-type]  # one filter alone
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
def test_only_checkpoints_that_match_a_filter_are_exempt(keep_tags: Any, kept: list[int]) -> None:
    entries: list[dict[str, Any]] = [{"step": 0}, {"step": 1}, {"step": 2, "pinned": True}, {"step": 3, "pinned": False}, {"step": 4}]
    nodes = [Node(LANGGRAPH, CheckpointRef("", str(n)), None, 0, 4, {}, json.dumps(each), 1) for n, each in enumerate(entries)]
    view = ThreadView({node.ref: node for node in nodes}, set(), set(), NOW)
    policy = RetentionPolicy(keep_last=1, keep_tags=keep_tags)
    assert policy.rule(NOW)(view) == {CheckpointRef("", str(n)) for n in [*kept, 4]}


@pytest.mark.parametrize("age", ["45s", timedelta(days=1, seconds=1), timedelta(days=12345, hours=7)])
def test_an_age_that_is_no_whole_number_of_days_survives_a_round_trip(age: Any) -> None:
    policy = RetentionPolicy.from_dict({"max_age": age})
    assert RetentionPolicy.from_dict(policy.to_dict()) == policy


@pytest.mark.parametrize("text", ["tool = 3", "[tool]\nckptstore = 'x'"])
def test_a_file_whose_tables_are_values_raises_invalid_policy(tmp_path: Path, text: str) -> None:
    (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(InvalidPolicy):
        RetentionPolicy.from_toml(tmp_path / "policy.toml")


def test_the_plain_values_of_a_policy_are_json() -> None:
    policy = RetentionPolicy(keep_last=1, keep_tags={"kind": {"$in": {"a", "b"}}})  # type: ignore[arg-type]  # one filter alone
    assert RetentionPolicy.from_dict(json.loads(json.dumps(policy.to_dict()))).keep_last == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"keep_last": 0}, "--last must be"),
        ({"keep_tags": {"a": 1}}, "give max_age, --last or thread_ttl"),
        # What a user gave stays.
        ({"keep_last": 1, "keep_tags": {"keep_last": {"$near": 1}}}, "keep_last"),
    ],
)
def test_errors_with_names_of_ones_own(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        RetentionPolicy(**given)
    assert said in with_names(caught.value, {"keep_last": "--last"})
