"""Agents that send screenshots: images in messages do not fill the checkpoint, on any database."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

from ckptstore import SizeLimits, SQLAlchemySaver
from ckptstore.blobs.settings import BlobSettings
from ckptstore.errors import CheckpointTooLarge
from tests.support.databases import url_of
from tests.support.rows import Rows
from tests.unit.values.test_base64_text import noise

THREAD: RunnableConfig = {"configurable": {"thread_id": "shots"}}
LIMITS = SizeLimits(max_checkpoint_bytes=300_000)
SHOT_BYTES = 100_000


class State(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]
    document: str


def graph_on(saver: SQLAlchemySaver) -> Any:
    builder = StateGraph(State)
    builder.add_node("look", lambda state: {"messages": [("ai", "seen")]})
    builder.add_edge(START, "look")
    builder.add_edge("look", END)
    return builder.compile(checkpointer=saver)


def screenshot(content: bytes) -> HumanMessage:
    return HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(content).decode()}}])


async def test_screenshots_are_stored_once_as_bytes(lasting_url: str, tmp_path: Path) -> None:
    shots = [noise(SHOT_BYTES) for _ in range(6)]
    async with SQLAlchemySaver.from_conn_string(lasting_url, blob_url=tmp_path / "blobs", limits=LIMITS) as saver:
        graph = graph_on(saver)
        for content in shots:
            await graph.ainvoke({"messages": [screenshot(content)]}, THREAD)
        # The file itself is the same object.
        await saver.blobs.put(shots[0])
    stored = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file() and path.stat().st_size >= SHOT_BYTES]
    assert sorted(path.read_bytes() for path in stored) == sorted(shots)
    async with SQLAlchemySaver.from_conn_string(lasting_url, blob_url=tmp_path / "blobs", limits=LIMITS) as saver:
        read = (await graph_on(saver).aget_state(THREAD)).values["messages"]
        assert (await saver.averify(deep=True)).ok
    assert [message.content for message in read if message.type == "human"] == [screenshot(content).content for content in shots]


@pytest.fixture(params=["memory", "asyncpg", "psycopg"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that keeps its files itself."""
    return url_of(request.param, request, tmp_path)


async def test_without_blob_storage_they_are_rows_stored_once_as_bytes(bare_url: str) -> None:
    shots = [noise(SHOT_BYTES) for _ in range(6)]
    async with SQLAlchemySaver.from_conn_string(bare_url, limits=LIMITS) as saver:
        graph = graph_on(saver)
        for content in shots:
            await graph.ainvoke({"messages": [screenshot(content)]}, THREAD)
        read = (await graph.aget_state(THREAD)).values["messages"]
        assert [message.content for message in read if message.type == "human"] == [screenshot(content).content for content in shots]
        large = [bytes(row["data"]) for row in Rows.of(saver).tables["ckpt_segment"] if row["size"] >= SHOT_BYTES]
        assert sorted(large) == sorted(shots)
        assert (await saver.averify(deep=True)).ok


# In base64, a screenshot has a third more characters than bytes.
@pytest.mark.parametrize(("database_bytes", "shots"), [(SHOT_BYTES, 3), (SHOT_BYTES * 3 // 2, 10)], ids=["each", "together"])
async def test_without_blob_storage_what_is_too_large_counts_and_the_error_says_so(bare_url: str, database_bytes: int, shots: int) -> None:
    settings = BlobSettings(database_bytes=database_bytes)
    async with SQLAlchemySaver.from_conn_string(bare_url, limits=LIMITS, blob_settings=settings) as saver:
        graph = graph_on(saver)
        await graph.ainvoke({"messages": [screenshot(noise(SHOT_BYTES))]}, THREAD)
        with pytest.raises(CheckpointTooLarge, match="give the saver a blob_url"):
            await graph.ainvoke({"messages": [screenshot(noise(SHOT_BYTES)) for _ in range(shots)]}, THREAD)


async def test_a_long_text_still_counts(saver: SQLAlchemySaver) -> None:
    graph = graph_on(saver.with_limits(LIMITS))
    for text in ("x" * 400_000, "two words " * 40_000):
        with pytest.raises(CheckpointTooLarge):
            await graph.ainvoke({"messages": [HumanMessage(text)]}, THREAD)


async def test_an_input_that_was_there_already_counts_once(saver: SQLAlchemySaver) -> None:
    graph = graph_on(saver.with_limits(LIMITS))
    for letter in "ab":
        await graph.ainvoke({"document": letter * 200_000}, THREAD)
    assert (await graph.aget_state(THREAD)).values["document"] == "b" * 200_000
    with pytest.raises(CheckpointTooLarge, match="document"):
        await graph.ainvoke({"document": "c" * 290_000, "messages": [("user", "d" * 100_000)]}, THREAD)
