"""Deleting as LangGraph's interface names it."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig
from tests.support.build import chain, config
from tests.support.rows import listed_counts


@pytest.mark.parametrize(("strategy", "left"), [("keep_latest", {"a": 1, "b": 3}), ("delete", {"b": 3})])
async def test_a_strategy_prunes_the_named_threads_only(saver: SQLAlchemySaver, strategy: str, left: dict[str, int]) -> None:
    for thread_id in ("a", "b"):
        await chain(saver, thread_id, 3)
    await saver.aprune(["a", "a", "absent"], strategy=strategy)
    assert {thread_id: count for thread_id, (count, _) in (await listed_counts(saver)).items()} == left


@pytest.mark.parametrize(("threads", "strategy"), [(["a"], "newest"), (["a"], None), (["a"], ["delete"]), ("a", "delete")])
async def test_an_unknown_strategy_and_a_single_text_delete_nothing(saver: SQLAlchemySaver, threads: Any, strategy: Any) -> None:
    await chain(saver, "a", 2)
    with pytest.raises(InvalidConfig):
        await saver.aprune(threads, strategy=strategy)
    assert len(await saver.alist(config("a"))) == 2


async def test_runs_are_deleted_by_their_ids_in_every_thread(saver: SQLAlchemySaver) -> None:
    for thread_id, run_id in (("a", "1"), ("b", "1"), ("c", "2"), ("d", "3")):
        await chain(saver, thread_id, 2, run_id=run_id)
    await saver.adelete_for_runs(["1", "3", "absent"])
    assert set(await listed_counts(saver)) == {"c"}
    with pytest.raises(InvalidConfig):
        await saver.adelete_for_runs("2")
