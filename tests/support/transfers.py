"""Stores to be copied, and what is compared of them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langchain_core.messages import HumanMessage
from psycopg.sql import SQL, Identifier

from ckptstore import SQLAlchemySaver
from tests.support.build import checkpoint, config, metadata
from tests.support.clocks import Days
from tests.support.databases import url_of
from tests.support.graph_runs import CASES, Script
from tests.support.remaining import World
from tests.support.rows import Rows

#: Graphs whose threads have forks, subgraphs, interrupts, sends and delta channels.
GRAPHS = ("forked", "subgraphs", "several interrupts", "sends", "delta, some steps")


def fill(saver: SQLAlchemySaver, threads: int = 3, steps: int = 4, *, blobs: bool = True) -> None:
    """Threads `t0`, `t1`, ... with values of every size, tags, a fork, writes, and a write without a checkpoint."""
    for number in range(threads):
        where = config(f"t{number}")
        messages: list[Any] = []
        for step in range(steps):
            version = f"{step + 1:08}.abc"
            messages.append(HumanMessage(f"hello {number} {step} " + "word " * 40, id=str(step)))
            values = {"messages": list(messages), "n": step, "note": f"longer than thirty-two characters, {number} {step}"}
            if blobs and step == 1:
                values["file"] = os.urandom(70_000)
            made = checkpoint(values, dict.fromkeys(values, version))
            where = saver.put(where, made, metadata(step, user_id=f"u{number}", nested={"a": [1, step]}), made["channel_versions"])
            saver.put_writes(where, [("messages", messages[-1]), ("n", step)], f"task-{step}", f"~path-{step}")
            if step == 1:
                fork = checkpoint({"n": -1}, {"n": "00000002.fork"})
                saver.put(where, fork, metadata(9, forked=True), {"n": "00000002.fork"})
        saver.put_writes(config(f"t{number}", "ffff"), [("n", 1)], "early")


async def run_graphs(saver: SQLAlchemySaver) -> None:
    """Threads of graphs, each named after its graph."""
    for name in GRAPHS:
        case, world = CASES[name], World(saver)
        graph = case.build(world).compile(checkpointer=saver)
        await case.script(Script(saver, Days(), world, graph))
        saver.copy_thread("t", name)
        saver.delete_thread("t")


def contents(saver: Any, *thread_ids: str) -> dict[Any, Any]:
    """Everything that a saver gives of its threads."""
    found = [each for thread_id in thread_ids for each in saver.list(config(thread_id) | {})] if thread_ids else list(saver.list(None))
    named = {tuple(sorted(each.config["configurable"].items())): each for each in found}
    return {key: (each.checkpoint, each.metadata, each.parent_config, each.pending_writes) for key, each in named.items()}


def threads_of(saver: SQLAlchemySaver) -> list[str]:
    return [thread.thread_id for thread in saver.list_threads(order_by="thread_id")]


def rows_of(saver: SQLAlchemySaver) -> dict[str, list[Any]]:
    """All rows but those of settings, objects and the load, without the generations of threads and the keys of objects."""
    tables = Rows.of(saver).tables
    left_out = {"generation", "object_key"}
    return {
        name: sorted(json.dumps({k: v for k, v in row.items() if k not in left_out}, default=str, sort_keys=True) for row in rows)
        for name, rows in tables.items()
        if name not in ("ckpt_setting", "ckpt_object", "ckpt_load", "ckpt_lease", "ckpt_alembic_version")
    }


@contextmanager
def pair(request: pytest.FixtureRequest, tmp_path: Path, source: str, target: str) -> Iterator[tuple[SQLAlchemySaver, SQLAlchemySaver]]:
    """Two savers on empty databases, the blobs of each in a folder of its own."""
    with (
        SQLAlchemySaver.from_conn_string(_url(source, request, tmp_path / "source"), blob_url=str(tmp_path / "source-blobs")) as one,
        SQLAlchemySaver.from_conn_string(_url(target, request, tmp_path / "target"), blob_url=str(tmp_path / "target-blobs")) as other,
    ):
        yield one, other


def _url(database: str, request: pytest.FixtureRequest, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    return url_of(database, request, folder)


def sqlite_file(request: pytest.FixtureRequest, path: Path) -> str:
    """An empty SQLite file with the schema at head."""
    return str(shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path))


@contextmanager
def schema(url: str, name: str) -> Iterator[None]:
    """A PostgreSQL schema with our tables, dropped at the end."""
    with SQLAlchemySaver.from_conn_string(url, schema=name) as saver:
        saver.setup()
    try:
        yield
    finally:
        with psycopg.connect(url.replace("+asyncpg", ""), autocommit=True) as connection:
            connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(name)))
