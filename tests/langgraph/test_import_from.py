"""Threads of graphs that ran with an official saver: everything comes back as from there, and the graphs go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command

from ckptstore import SQLAlchemySaver
from tests.support.build import config
from tests.support.graph_runs import CASES
from tests.support.graphs import asking
from tests.support.official import OFFICIAL, Place, assert_filed, everything, histories, run_graph
from tests.support.remaining import World


@pytest.fixture(params=OFFICIAL)
async def place(request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str) -> AsyncIterator[Place]:
    place = Place(request.param, tmp_path, postgres_url)
    yield place
    await place.drop()


@pytest.mark.parametrize("name", CASES)
async def test_everything_comes_back_as_from_the_source(place: Place, tmp_path: Path, name: str) -> None:
    async with place.open() as source:
        await run_graph(source, name)
        async with SQLAlchemySaver.from_conn_string(tmp_path / "ours.sqlite") as saver:
            report = await saver.aimport_from(place.source, schema=place.schema)
            assert (report.threads, report.ok) == (1, True), report
            before = await everything(source)
            assert await everything(saver) == before
            assert await histories(saver, "said", "facts") == await histories(source, "said", "facts")
            await asyncio.to_thread(assert_filed, saver)
            # From the newest checkpoint both go on alike.
            graphs = [CASES[name].build(World(each)).compile(checkpointer=each) for each in (source, saver)]
            states = [await graph.aget_state(config("t")) for graph in graphs]
            assert (states[0].values, states[0].next, states[0].interrupts) == (states[1].values, states[1].next, states[1].interrupts)


async def test_an_interrupt_is_answered_at_the_target(place: Place, lasting_url: str) -> None:
    where: Any = config("t")
    async with place.open() as source:
        await asking("a", "b").compile(checkpointer=source).ainvoke({"log": ["begin"]}, where)
        waiting = (await asking("a", "b").compile(checkpointer=source).aget_state(where)).interrupts
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await saver.aimport_from(place.source, schema=place.schema)
        graph = asking("a", "b").compile(checkpointer=saver)
        done = await graph.ainvoke(Command(resume={each.id: "yes" for each in waiting}), where)
        assert len(done["log"]) > 1
        # The source goes on too: neither is mixed into the other.
        async with place.open() as source:
            await asking("a", "b").compile(checkpointer=source).ainvoke(Command(resume={each.id: "no" for each in waiting}), where)
        report = await saver.aimport_from(place.source, schema=place.schema, on_conflict="continue")
        assert report.skipped_threads == ["t"]


async def test_a_later_run_brings_what_has_changed(place: Place, tmp_path: Path) -> None:
    async with place.open() as source, SQLAlchemySaver.from_conn_string(tmp_path / "ours.sqlite") as saver:
        await run_graph(source, "plain")
        await saver.aimport_from(place.source, schema=place.schema)
        assert (await saver.aimport_from(place.source, schema=place.schema)).unchanged_threads == 1
        found = await source.aget_tuple(config("t"))
        await source.aput_writes(found.config, [("log", ["one more"])], "another task", "~path")
        report = await saver.aimport_from(place.source, schema=place.schema)
        assert (report.updated_threads, report.writes, report.checkpoints) == (1, 1, 0)
        assert await everything(saver) == await everything(source)
        await source.adelete_thread("t")
        assert (await saver.aimport_from(place.source, schema=place.schema, mirror=True)).deleted_threads == 1


async def test_the_tables_of_both_in_one_database(place: Place, tmp_path: Path) -> None:
    if place.kind == "sqlite":
        options: dict[str, Any] = {}
        url = place.source
    else:
        options, url = {"schema": place.schema}, place.source.replace("postgresql:", "postgresql+psycopg:")
    async with place.open() as source:
        await run_graph(source, "subgraphs")
        async with SQLAlchemySaver.from_conn_string(url, **options) as saver:
            await saver.setup()
            assert (await saver.aimport_from(place.source, schema=place.schema)).threads == 1
            assert await everything(saver) == await everything(source)
            # And the official saver still has its own.
            await source.aget_tuple(config("t"))


@pytest.mark.parametrize("name", ["forked", "subgraphs", "sends", "delta, some steps"])
@pytest.mark.parametrize("kind", ["memory", "async sqlite", "sync sqlite"])
async def test_any_saver_by_its_methods(tmp_path: Path, postgres_url: str, kind: str, name: str) -> None:
    place = Place("sqlite", tmp_path, postgres_url)
    async with SQLAlchemySaver.from_conn_string(tmp_path / "ours.sqlite") as saver:
        if kind == "memory":
            memory = InMemorySaver()
            await run_graph(memory, name)
            report = await saver.aimport_from(memory)
            before, known = await everything(memory), await histories(memory, "said", "facts")
        else:
            async with place.open() as source:
                await run_graph(source, name)
                before, known = await everything(source), await histories(source, "said", "facts")
                if kind == "async sqlite":
                    report = await saver.aimport_from(source)
            if kind == "sync sqlite":
                with SqliteSaver.from_conn_string(place.source) as sync:
                    report = await asyncio.to_thread(saver.import_from, sync)
        assert (report.threads, report.ok) == (1, True)
        assert await everything(saver) == before
        assert await histories(saver, "said", "facts") == known
