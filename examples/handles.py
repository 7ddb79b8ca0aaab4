"""A graph that keeps a file by handle: `python examples/handles.py [FILE] [DATABASE] [BLOB_URL]`.

The first node uploads the file and passes only a handle on; the checkpoints stay tiny. A later node opens the file.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from pypdf import PdfReader

from ckptstore import BlobRef, SQLAlchemySaver

SHIPPED = Path(__file__).parent / "documents"


class State(TypedDict, total=False):
    """What the graph keeps: the handle, never the file."""

    path: str
    document: BlobRef
    pages: int
    beginning: str


def build(saver: SQLAlchemySaver) -> CompiledStateGraph[State, None, State, State]:
    async def upload(state: State) -> State:
        # Streamed: a file of any size takes little memory.
        return {"document": await saver.blobs.put(Path(state["path"]), media_type="application/pdf")}

    async def read(state: State) -> State:
        with await saver.blobs.open(state["document"]) as file:
            reader = PdfReader(file)
            return {"pages": len(reader.pages), "beginning": reader.pages[0].extract_text()[:60]}

    builder = StateGraph(State)
    builder.add_node("upload", upload)
    builder.add_node("read", read)
    builder.add_edge(START, "upload")
    builder.add_edge("upload", "read")
    builder.add_edge("read", END)
    return builder.compile(checkpointer=saver)


async def main(path: str, database: str, blob_url: str | None) -> None:
    thread: RunnableConfig = {"configurable": {"thread_id": "one-document"}}
    async with SQLAlchemySaver.from_conn_string(database, blob_url=blob_url) as saver:
        await saver.setup()
        result = await build(saver).ainvoke({"path": path}, thread)
        print(f"{result['document'].size} bytes under {result['document'].id}")
        print(f"{result['pages']} pages, beginning with: {result['beginning']!r}")
        for found in await saver.alist(thread):
            print(f"step {found.metadata['step']}: {found.checkpoint['channel_values']}")


if __name__ == "__main__":
    given = dict(enumerate(sys.argv[1:]))
    first_pdf = next(SHIPPED.glob("*.pdf"))
    asyncio.run(main(given.get(0, str(first_pdf)), given.get(1, "checkpoints.sqlite"), given.get(2)))
