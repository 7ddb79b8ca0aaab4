"""The size limit around any saver: ours and the official ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from ckptstore import SizeLimitedCheckpointer, SizeLimits, SQLAlchemySaver, prune_old_checkpoints
from ckptstore.errors import CheckpointTooLarge, InvalidConfig
from ckptstore.values.size_limits import MIB
from tests.support.build import checkpoint, config, metadata
from tests.support.node_graphs import graph_of

Saver = BaseCheckpointSaver[Any]
KINDS = ("ours", "memory", "sqlite", "async sqlite")


@asynccontextmanager
async def opened(kind: str, path: Path) -> AsyncIterator[Saver]:
    if kind == "ours":
        async with SQLAlchemySaver.from_conn_string(path) as ours:
            yield ours
    elif kind == "memory":
        yield InMemorySaver()
    elif kind == "sqlite":
        with SqliteSaver.from_conn_string(str(path)) as plain:
            yield plain
    else:
        async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
            yield saver


def is_async(kind: str) -> bool:
    return kind != "sqlite"


async def put(saver: Saver, kind: str, values: dict[str, Any], **more: Any) -> Any:
    made = checkpoint(values, **more)
    new = {name: version for name, version in made["channel_versions"].items() if name != "kept"}
    if is_async(kind):
        return await saver.aput(config("t"), made, metadata(), new)
    return saver.put(config("t"), made, metadata(), new)


async def put_writes(saver: Saver, kind: str, where: Any, value: Any) -> None:
    if is_async(kind):
        await saver.aput_writes(where, [("a", 1), ("messages", value)], "task")
    else:
        saver.put_writes(where, [("a", 1), ("messages", value)], "task")


async def stored(saver: Saver, kind: str) -> list[Any]:
    return [found async for found in saver.alist(config("t"))] if is_async(kind) else list(saver.list(config("t")))


@pytest.mark.parametrize("kind", KINDS)
async def test_any_saver_is_held_to_the_limit(tmp_path: Path, kind: str) -> None:
    async with opened(kind, tmp_path / "c.sqlite") as inner:
        saver = SizeLimitedCheckpointer(inner, max_size_mb=0.5)
        where = await put(saver, kind, {"messages": "m" * (MIB // 4)})
        before = await stored(saver, kind)
        for values in ({"messages": "m" * MIB}, {"a": "a" * (MIB // 3), "kept": "k" * (MIB // 3)}):
            with pytest.raises(CheckpointTooLarge, match=r"thread 't': .*MB exceeds limit 0.5MB; .* raise max_size_mb$"):
                await put(saver, kind, values)
        with pytest.raises(CheckpointTooLarge, match="pending writes of thread 't'"):
            await put_writes(saver, kind, where, "m" * MIB)
        assert await stored(saver, kind) == before
        assert [len(found.pending_writes) for found in before] == [0]
        await put_writes(saver, kind, where, "fine")
        assert [len(found.pending_writes) for found in await stored(saver, kind)] == [2]


async def test_the_way_in_without_a_loop_is_held_to_it_too(tmp_path: Path) -> None:
    for kind in ("ours", "memory", "sqlite"):
        async with opened(kind, tmp_path / f"{kind}.sqlite") as inner:
            saver = SizeLimitedCheckpointer(inner, max_size_mb=0.5)
            made = checkpoint({"messages": "m" * MIB})
            with pytest.raises(CheckpointTooLarge):
                saver.put(config("t"), made, metadata(), made["channel_versions"])
            with pytest.raises(CheckpointTooLarge):
                saver.put_writes(config("t", "id"), [("messages", "m" * MIB)], "task")
            assert list(saver.list(config("t"))) == []


@pytest.mark.parametrize("kind", ["ours", "memory"])
async def test_a_larger_limit_takes_the_place_of_the_savers_own(tmp_path: Path, kind: str) -> None:
    async with opened(kind, tmp_path / "c.sqlite") as inner:
        saver = SizeLimitedCheckpointer(inner, max_size_mb=20)
        await put(saver, kind, {"messages": "m" * (15 * MIB)})
        with pytest.raises(CheckpointTooLarge, match="exceeds limit 20MB"):
            await put(saver, kind, {"messages": "m" * (21 * MIB)})
        assert len(await stored(saver, kind)) == 1
        if kind == "ours":
            # The saver that was handed over is as it was.
            with pytest.raises(CheckpointTooLarge, match="exceeds limit 10MB"):
                await put(inner, kind, {"messages": "m" * (15 * MIB)})


@pytest.mark.parametrize("kind", KINDS)
async def test_a_graph_and_its_subgraph_have_the_limit(tmp_path: Path, kind: str) -> None:
    async with opened(kind, tmp_path / "c.sqlite") as inner:
        saver = SizeLimitedCheckpointer(inner, max_size_mb=0.5)
        size = [10]
        graph = graph_of(lambda _: {"log": ["y" * size[0]]}, 1, saver)
        for size[0], fits in ((10, True), (MIB, False), (20, True)):
            run: Callable[[], Any] = lambda: graph.ainvoke({"log": []}, config("t"))  # noqa: E731
            if not is_async(kind):
                run = lambda: _plain(graph)  # noqa: E731
            if fits:
                assert len((await run())["log"][-1]) == size[0]
            else:
                with pytest.raises(CheckpointTooLarge, match="log 1MB"):
                    await run()


async def _plain(graph: Any) -> Any:
    return graph.invoke({"log": []}, config("t"))


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), 1e-9])
def test_a_limit_that_is_none_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"max_size_mb must be positive|max_checkpoint_bytes must be at least 1"):
        SizeLimitedCheckpointer(InMemorySaver(), wrong)


async def test_what_is_no_saver_is_refused_by_name() -> None:
    wrong: Any = "checkpoints.sqlite"
    with pytest.raises(InvalidConfig, match=r"takes a LangGraph saver, got 'checkpoints\.sqlite'"):
        SizeLimitedCheckpointer(wrong)
    limited: Any = SizeLimitedCheckpointer(InMemorySaver())
    with pytest.raises(
        InvalidConfig, match=r"takes a SQLAlchemySaver, got a value of type SizeLimitedCheckpointer; .* its attribute saver"
    ):
        await prune_old_checkpoints(limited)


@pytest.mark.parametrize("kind", ["ours", "memory"])
async def test_a_clone_with_an_allowlist_has_the_limit(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGGRAPH_STRICT_MSGPACK", "true")
    async with opened(kind, tmp_path / "c.sqlite") as inner:
        inner.serde = type(inner.serde)(allowed_msgpack_modules=[])  # type: ignore[call-arg]
        saver = SizeLimitedCheckpointer(inner, max_size_mb=0.5)
        clone = saver.with_allowlist([("somewhere", "Thing")])
        assert clone is not saver
        assert clone.saver.serde is not inner.serde
        with pytest.raises(CheckpointTooLarge, match="raise max_size_mb"):
            await put(clone, kind, {"messages": "m" * MIB})
        await put(clone, kind, {"messages": "fine"})
        assert len(await stored(saver, kind)) == 1


CAPABILITIES = ("put", "put_writes", "get_tuple", "list", "delete_thread", "delete_for_runs", "copy_thread", "prune")


@pytest.mark.parametrize("capability", CAPABILITIES)
async def test_all_else_is_the_savers_own(capability: str) -> None:
    @checkpointer_test(name=f"limited-{capability}")
    async def registered() -> AsyncIterator[SizeLimitedCheckpointer]:
        async with SQLAlchemySaver.from_conn_string(":memory:", limits=SizeLimits(max_checkpoint_bytes=100)) as saver:
            yield SizeLimitedCheckpointer(saver)

    result = (await validate(registered, capabilities={capability})).results[capability]
    assert (result.detected, result.failures, result.passed) == (True, [], True)
    assert result.tests_passed > 0
