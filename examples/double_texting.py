"""A second message while the first is being answered: refuse it, queue it, or let it replace the first. `uvicorn double_texting:app`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from langgraph.graph import END, START, MessagesState, StateGraph

from ckptstore import SQLAlchemySaver
from ckptstore.errors import LeaseLost, ThreadBusy


async def answer(state: MessagesState) -> dict[str, list[tuple[str, str]]]:
    # Where a model would be asked.
    await asyncio.sleep(len(state["messages"][-1].content) / 100)
    return {"messages": [("ai", f"that was message {len(state['messages'])}")]}


builder = StateGraph(MessagesState)
builder.add_node("answer", answer)
builder.add_edge(START, "answer")
builder.add_edge("answer", END)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with SQLAlchemySaver.from_conn_string("checkpoints.sqlite") as saver:
        app.state.saver, app.state.graph, app.state.running = saver, builder.compile(checkpointer=saver), {}
        yield


app = FastAPI(lifespan=lifespan)


@app.exception_handler(ThreadBusy)
async def busy(_request: Request, exc: ThreadBusy) -> JSONResponse:
    return JSONResponse({"detail": f"another message is being answered by process {exc.pid} on {exc.host}"}, 409, {"Retry-After": "1"})


@app.exception_handler(LeaseLost)
async def replaced(_request: Request, _exc: LeaseLost) -> JSONResponse:
    return JSONResponse({"detail": "a later message has replaced this one"}, 409)


async def run(thread_id: str, text: str) -> dict[str, str]:
    """Answer a message, in a task that a later message can cancel."""
    thread = {"configurable": {"thread_id": thread_id}}
    task = asyncio.create_task(app.state.graph.ainvoke({"messages": [("user", text)]}, thread))
    app.state.running[thread_id] = task
    try:
        await asyncio.wait([task])
        if task.cancelled():
            raise HTTPException(409, "a later message has replaced this one")
        return {"answer": task.result()["messages"][-1].content}
    finally:
        # Also where the client has gone away.
        task.cancel()
        if app.state.running.get(thread_id) is task:
            del app.state.running[thread_id]


@app.post("/refuse/{thread_id}")
async def refuse(thread_id: str, text: str) -> dict[str, str]:
    async with app.state.saver.ahold(thread_id, wait=0):
        return await run(thread_id, text)


@app.post("/queue/{thread_id}")
async def queue(thread_id: str, text: str) -> dict[str, str]:
    async with app.state.saver.ahold(thread_id, wait=60):
        return await run(thread_id, text)


@app.post("/replace/{thread_id}")
async def replace(thread_id: str, text: str) -> dict[str, str]:
    if task := app.state.running.get(thread_id):
        # It runs in this process: nobody pays for the rest of it.
        task.cancel()
    async with app.state.saver.ahold(thread_id, take_over=True):
        return await run(thread_id, text)
