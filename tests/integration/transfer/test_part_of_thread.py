"""Copying a part of a thread: what is chosen reads as in the thread, under the new id."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig, ThreadExists
from tests.support.build import checkpoint, config, metadata
from tests.support.rows import Rows
from tests.support.transfers import GRAPHS, contents, fill, run_graphs, threads_of


@pytest.fixture
def saver(lasting_url: str) -> Any:
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        yield saver


def values_of(saver: SQLAlchemySaver, thread_id: str) -> dict[tuple[str, str], Any]:
    found = contents(saver, thread_id)
    return {(dict(key)["checkpoint_ns"], dict(key)["checkpoint_id"]): (*parts[:1], parts[3]) for key, parts in found.items()}


def test_the_newest_of_graphs(saver: SQLAlchemySaver) -> None:
    asyncio.run(run_graphs(saver))
    for name in GRAPHS:
        saver.copy_thread(name, f"{name}, newest", newest=2)
        left, whole = values_of(saver, f"{name}, newest"), values_of(saver, name)
        assert 0 < len(left) < len(whole)
        assert left == {key: whole[key] for key in left}
        channels = ["said", "facts"]
        histories = [saver.get_delta_channel_history(config=config(each), channels=channels) for each in (name, f"{name}, newest")]
        assert histories[0] == histories[1]
    assert {table: keys for table, keys in Rows.of(saver).orphans().items() if table != "ckpt_write"} == {}
    assert saver.verify(deep=True).ok


def test_one_checkpoint_of_graphs(saver: SQLAlchemySaver) -> None:
    asyncio.run(run_graphs(saver))
    for name in GRAPHS:
        ids = sorted(each.checkpoint["id"] for each in saver.list(config(name, checkpoint_ns="")))
        chosen = ids[len(ids) // 2]
        saver.copy_thread(name, f"{name}, one", at=chosen)
        newest = saver.get_tuple(config(f"{name}, one"))
        assert newest is not None
        assert newest.checkpoint["id"] == chosen
        left, whole = values_of(saver, f"{name}, one"), values_of(saver, name)
        assert left == {key: whole[key] for key in left}
    assert saver.verify(deep=True).ok


def test_metadata_names_the_new_thread(saver: SQLAlchemySaver) -> None:
    for step in range(2):
        made = checkpoint({"n": step}, {"n": f"{step}"})
        saver.put(config("t"), made, metadata(step, thread_id="t", other="t"), made["channel_versions"])
    saver.copy_thread("t", "part", newest=1)
    saver.copy_thread("t", "whole")
    for copy, count in (("part", 1), ("whole", 2)):
        found = list(saver.list(None, filter={"thread_id": copy}))
        assert {each.metadata["other"] for each in found} == {"t"}  # type: ignore[typeddict-item]
        assert len(found) == count
    assert len(list(saver.list(None, filter={"thread_id": "t"}))) == 2
    assert saver.verify(deep=True).ok


def test_blobs_are_shared(tmp_path: Any) -> None:
    with SQLAlchemySaver.from_conn_string(tmp_path / "a.sqlite") as saver:
        made = checkpoint({"file": bytes(range(256)) * 5_000}, {"file": "1"})
        saver.put(config("t"), made, metadata(0), {"file": "1"})
        saver.copy_thread("t", "copy", newest=1)
        assert len(Rows.of(saver).tables["ckpt_object"]) == 1
        saver.delete_thread("t")
        assert values_of(saver, "copy")
        assert saver.verify(deep=True).ok


@pytest.mark.parametrize(
    ("options", "exc"),
    [
        ({"newest": 0}, InvalidConfig),
        ({"newest": True}, InvalidConfig),
        ({"newest": 1, "at": "x"}, InvalidConfig),
        ({"at": "nowhere"}, InvalidConfig),
        ({"at": 5}, InvalidConfig),
    ],
)
def test_what_there_is_not(saver: SQLAlchemySaver, options: Any, exc: type[Exception]) -> None:
    fill(saver, threads=1, blobs=False)
    with pytest.raises(exc):
        saver.copy_thread("t0", "copy", **options)
    with pytest.raises(InvalidConfig):
        saver.copy_thread("nobody", "copy", newest=1)
    saver.copy_thread("t0", "there", newest=1)
    with pytest.raises(ThreadExists):
        saver.copy_thread("t0", "there", newest=1)
    assert threads_of(saver) == ["t0", "there"]
