"""`--verify objects` of an import: a sample is read through the source's saver and through ours, and compared."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from ckptstore import SQLAlchemySaver
from ckptstore.errors import CheckpointCorrupt, InvalidSource, MissingDriver
from ckptstore.langgraph.imports.records import RawRecords
from ckptstore.records import NewCheckpoint
from tests.support.official import OFFICIAL, Place, run_graph

KEY = b"0123456789abcdef"


@pytest.fixture(params=OFFICIAL)
async def place(request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str) -> AsyncIterator[Place]:
    place = Place(request.param, tmp_path, postgres_url)
    yield place
    await place.drop()


async def import_(place: Place, tmp_path: Path, **options: Any) -> Any:
    async with SQLAlchemySaver.from_conn_string(tmp_path / "ours.sqlite", serde=options.get("serde")) as saver:
        return await saver.aimport_from(place.source, schema=place.schema, verify="objects", **options)


@pytest.mark.parametrize("name", ["forked", "subgraphs", "sends", "several interrupts", "delta, some steps"])
async def test_every_checkpoint_of_the_sample_is_loaded_alike(place: Place, tmp_path: Path, name: str) -> None:
    async with place.open() as source:
        await run_graph(source, name)
        report = await import_(place, tmp_path)
        assert report.ok
        assert report.compared_checkpoints == report.checkpoints > 3


async def test_an_encrypted_source(place: Place, tmp_path: Path) -> None:
    serde = EncryptedSerializer.from_pycryptodome_aes(key=KEY)
    async with place.open(serde) as source:
        await run_graph(source, "plain")
    report = await import_(place, tmp_path, serde=serde)
    assert report.compared_checkpoints == report.checkpoints > 0


async def test_a_difference_is_an_error(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped(self: RawRecords, *arguments: Any, **named: Any) -> NewCheckpoint:
        # As an import that reads one channel's value for another's would do: every row is well formed.
        made: NewCheckpoint = checkpoint(self, *arguments, **named)
        return made._replace(metadata=made.metadata.replace('"step"', '"stop"'))

    checkpoint = RawRecords.checkpoint
    async with place.open() as source:
        await run_graph(source, "plain")
    monkeypatch.setattr(RawRecords, "checkpoint", swapped)
    with pytest.raises(CheckpointCorrupt, match="is loaded differently from the target"):
        await import_(place, tmp_path)


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_any_saver_is_read_by_itself(tmp_path: Path, kind: str) -> None:
    memory = InMemorySaver()
    await run_graph(memory, "subgraphs")
    async with SQLAlchemySaver.from_conn_string(tmp_path / "ours.sqlite") as saver:
        if kind == "async":
            report = await saver.aimport_from(memory, verify="objects")
        else:
            report = await asyncio.to_thread(saver.import_from, memory, verify="objects")
        assert report.compared_checkpoints == report.checkpoints > 3


async def test_without_the_official_saver_nothing_is_stored(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with place.open() as source:
        await run_graph(source, "plain")
    monkeypatch.setitem(sys.modules, f"langgraph.checkpoint.{place.kind}", None)
    with pytest.raises(MissingDriver, match=f"pip install langgraph-checkpoint-{place.kind}"):
        await import_(place, tmp_path)
    async with SQLAlchemySaver.from_conn_string(tmp_path / "ours.sqlite") as saver:
        assert [each async for each in saver.alist_threads()] == []


async def test_what_the_official_saver_can_not_load_is_said(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with place.open() as source:
        await run_graph(source, "plain")

    def fail(*_: Any) -> Any:
        raise KeyError("a column that older releases did not have")

    kind = {"sqlite": SqliteSaver, "postgres": PostgresSaver}[place.kind]
    monkeypatch.setattr(kind, "get_tuple", fail)
    with pytest.raises(InvalidSource, match=rf"installed {kind.__name__} can't load .* the import is done"):
        await import_(place, tmp_path)
