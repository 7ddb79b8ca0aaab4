"""Where `os` lacks what Windows lacks: a simulation in a process of its own, which takes the names away before it imports ckptstore."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# The standard library and the other packages ask for these names themselves: they are loaded first.
WITHOUT_FORK = """
import asyncio, concurrent.futures.thread, logging, os, random, sys, tempfile, threading
import aiosqlite, alembic.command, fsspec, sqlalchemy.ext.asyncio
from langgraph.graph import END, START, StateGraph

for name in ("register_at_fork", "fork", "O_DIRECTORY"):
    delattr(os, name)

from ckptstore import SQLAlchemySaver

builder = StateGraph(dict).add_node("upload", lambda state: {"file": b"y" * 300_000})
builder.add_edge(START, "upload").add_edge("upload", END)
config = {"configurable": {"thread_id": "1"}}
"""

SYNCHRONOUS = """
with SQLAlchemySaver.from_conn_string(sys.argv[1]) as saver:
    builder.compile(checkpointer=saver).invoke({"file": b""}, config)
with SQLAlchemySaver.from_conn_string(sys.argv[1]) as saver:
    print(len(builder.compile(checkpointer=saver).get_state(config).values["file"]))
    handle = saver.blobs.put(b"z" * 100_000).result()
    with saver.blobs.open(handle).result() as file:
        print(len(file.read()))
    print(saver.verify(deep=True).ok, saver.collect().marked)
"""

ASYNCHRONOUS = """
async def main():
    async with SQLAlchemySaver.from_conn_string(sys.argv[1]) as saver:
        await builder.compile(checkpointer=saver).ainvoke({"file": b""}, config)
    async with SQLAlchemySaver.from_conn_string(sys.argv[1]) as saver:
        print(len((await builder.compile(checkpointer=saver).aget_state(config)).values["file"]))

asyncio.run(main())
"""


def test_a_graph_with_an_upload_runs_without_fork(tmp_path: Path) -> None:
    # One after the other in one process: to import everything takes the most of it.
    programs = WITHOUT_FORK + SYNCHRONOUS + "sys.argv.pop(1)\n" + ASYNCHRONOUS
    paths = [tmp_path / name for name in ("one.sqlite", "other.sqlite")]
    command = [sys.executable, "-c", programs, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["300000", "100000", "True", "0", "300000"]
    assert [bool(list(Path(f"{path}.blobs").rglob("*-*"))) for path in paths] == [True, True]
