"""What a config names, and what is refused before a database is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from ckptstore.errors import InvalidConfig
from ckptstore.langgraph.config import ids_of, key_of, require_ids, require_limit, search_of, thread_id_of
from ckptstore.tags.filters import Filter
from tests.support.build import config


@pytest.mark.parametrize(("thread_id", "text"), [("t", "t"), (7, "7"), (UUID(int=1), str(UUID(int=1)))])
def test_a_thread_id_is_text_a_whole_number_or_a_uuid(thread_id: Any, text: str) -> None:
    assert thread_id_of(thread_id) == text


@pytest.mark.parametrize("wrong", [True, 1.0, b"t", ["t"], "a\0b", "\ud800"])
def test_any_other_thread_id_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidConfig, match="thread_id"):
        thread_id_of(wrong)


def test_a_namespace_defaults_to_the_root_graphs_and_a_checkpoint_to_none() -> None:
    assert ids_of({"configurable": {"thread_id": "t"}}) == ("t", "", None)
    assert ids_of(config("t", "c", "sub:1|deep")) == ("t", "sub:1|deep", "c")


def test_writes_need_a_checkpoint() -> None:
    assert tuple(key_of(config("t", "c", "ns"))) == ("t", "ns", "c")
    with pytest.raises(InvalidConfig, match="checkpoint_id"):
        key_of(config("t"))


def test_a_listing_is_restricted_only_by_what_the_config_has() -> None:
    everything = search_of(None, None, Filter(), None, None)
    assert (everything.thread_id, everything.checkpoint_ns, everything.checkpoint_id, everything.before) == (None, None, None, None)
    root = search_of(config("t"), config("any", "c9"), Filter(), datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), None)
    assert (root.thread_id, root.checkpoint_ns, root.before) == ("t", "", "c9")
    assert (root.created_after, root.created_before) == (1_000_000, None)


@pytest.mark.parametrize("wrong", [-1, True, 1.0, "3"])
def test_a_limit_is_a_whole_number_or_none(wrong: Any) -> None:
    assert (require_limit(None), require_limit(0), require_limit(3)) == (None, 0, 3)
    with pytest.raises(InvalidConfig, match="limit"):
        require_limit(wrong)


def test_one_id_is_not_taken_for_many_of_one_letter() -> None:
    assert require_ids(("a", "b"), "run_ids") == ["a", "b"]
    with pytest.raises(InvalidConfig, match="run_ids"):
        require_ids("abc", "run_ids")
