"""Upkeep by the saver's methods: each has an asynchronous twin that does the same, and refuses wrong arguments by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ckptstore import PruneReport, RetentionPolicy, SQLAlchemySaver
from ckptstore.errors import InvalidConfig, InvalidPolicy
from ckptstore.langgraph.upkeep import Upkeep
from tests.support.build import chain, config

OPERATIONS = [name for name, method in vars(Upkeep).items() if inspect.isfunction(method) and f"a{name}" in vars(Upkeep)]


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_asynchronous_twin_takes_the_same_arguments(name: str) -> None:
    ours, twin = inspect.signature(getattr(Upkeep, name)), inspect.signature(getattr(Upkeep, f"a{name}"))
    assert list(ours.parameters.values()) == list(twin.parameters.values())
    assert ours.return_annotation == twin.return_annotation


async def chained(saver: SQLAlchemySaver) -> None:
    for thread_id in ("a", "b"):
        await chain(saver, thread_id, 4)


async def test_both_twins_report_the_same(tmp_path: Path) -> None:
    reports: list[list[Any]] = []
    for number in range(2):
        async with SQLAlchemySaver.from_conn_string(str(tmp_path / f"{number}.sqlite"), blob_url=tmp_path / f"blobs{number}") as saver:
            await chained(saver)
            found: list[Any] = []
            for name, arguments in (
                ("prune_by", {"policy": RetentionPolicy(keep_last=3), "dry_run": True}),
                ("prune_by", {"policy": RetentionPolicy(keep_last=3)}),
                ("collect", {"grace": timedelta(0)}),
                ("verify", {"deep": True}),
                ("rebuild_tags", {}),
                ("relocate_blobs", {}),
                ("prune_older_than", {"age": timedelta(0)}),
            ):
                found.append(await getattr(saver, f"a{name}")(**arguments) if number else getattr(saver, name)(**arguments))
            assert await saver.alist(None) == []
            reports.append(found)
    assert reports[0] == reports[1]


async def test_progress_and_should_stop_are_called(saver: SQLAlchemySaver) -> None:
    await chained(saver)
    told: list[PruneReport] = []
    stopped = await saver.aprune_by(RetentionPolicy(keep_last=1), progress=told.append, should_stop=lambda: True)
    assert (stopped.stopped, stopped.checkpoints, told) == (True, 0, [])
    report = await saver.aprune_by(RetentionPolicy(keep_last=1), progress=told.append)
    assert (report.stopped, report.checkpoints, told[-1].checkpoints) == (False, 6, 6)


@pytest.mark.parametrize("policy", [None, {"keep_last": 1}, timedelta(1)])
async def test_a_policy_of_another_type_deletes_nothing(saver: SQLAlchemySaver, policy: Any) -> None:
    await chained(saver)
    with pytest.raises(InvalidPolicy, match=r"policy must be a RetentionPolicy.*from_dict"):
        await saver.aprune_by(policy)
    assert len(await saver.alist(config("a"))) == 4


@pytest.mark.parametrize("call", [SQLAlchemySaver.collect, SQLAlchemySaver.acollect], ids=["sync", "async"])
@pytest.mark.parametrize(("grace", "reason"), [(5, "must be a timedelta"), (timedelta(-1), "must not be negative")])
async def test_a_wrong_grace_marks_nothing(saver: SQLAlchemySaver, call: Callable[..., Any], grace: Any, reason: str) -> None:
    with pytest.raises(InvalidConfig, match=f"grace {reason}"):
        await call(saver, grace=grace)
