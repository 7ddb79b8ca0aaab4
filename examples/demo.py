"""Ten agents read documents at once, wait for a person, outlive their saver, and answer: `python examples/demo.py --help`."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import sys
import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill, shorten
from typing import Any, TypeVar

from account import print_account
from agent import UnreadableDocument, passages_of, reading_agent
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, StateSnapshot

from ckptstore import SQLAlchemySaver
from ckptstore.db.url import is_memory, parse_database_url
from ckptstore.errors import CkptStoreError

AGENTS = 10
SHIPPED = Path(__file__).parent / "documents"
DEFAULT_DATABASE = Path("demo-data") / "checkpoints.sqlite"
_SAMPLES = 2

T = TypeVar("T")
Graph = CompiledStateGraph[Any, Any, Any, Any]


class DemoFailed(Exception):
    """The demo can't go on, or saw something else than it promises."""


@dataclass(frozen=True)
class Agent:
    """One agent: a thread of its own on a document that others may read as well."""

    name: str
    run: str
    path: Path
    share: int

    @property
    def thread_id(self) -> str:
        return f"{self.run}/{self.name}"

    @property
    def config(self) -> RunnableConfig:
        metadata = {"run": self.run, "agent": self.name, "document": self.path.name}
        return {"configurable": {"thread_id": self.thread_id}, "metadata": metadata}

    def question(self, keywords: Sequence[str]) -> str:
        """Agents that share a document ask about different things."""
        start = 2 * (self.share + 1) % max(1, len(keywords))
        return f"What about {' and '.join(keywords[start : start + 2])}?"


@dataclass
class Run:
    """Where the demo stores, who works, and how long the graphs ran."""

    url: str
    blob_url: str | None
    agents: list[Agent]
    seconds: float = field(default=0.0)

    def saver(self) -> SQLAlchemySaver:
        blobs: dict[str, Any] = {} if self.blob_url is None else {"blob_url": self.blob_url}
        return SQLAlchemySaver.from_conn_string(self.url, **blobs)

    async def together(self, calls: Iterable[Awaitable[T]]) -> list[T]:
        """All at once, on the clock."""
        started = time.perf_counter()
        try:
            return await asyncio.gather(*calls)
        finally:
            self.seconds += time.perf_counter() - started


# --- the story -------------------------------------------------------------------------------------------------------


async def demo(run: Run) -> None:
    async with run.saver() as saver:
        await saver.setup()  # A server's schema changes only when asked; a SQLite file would do without.
        asked = await read_documents(run, reading_agent().compile(checkpointer=saver))
    async with run.saver() as saver:
        graph = reading_agent().compile(checkpointer=saver)
        await compare(run, graph, asked)
        await give_answers(run, graph)
        await ask_questions(run, graph)
        await look_back(run.agents[0], graph)
        await search(run, saver)
    title("What was stored")
    steps = await print_account(run.url, [agent.thread_id for agent in run.agents])
    print(f"  {steps} steps of {len(run.agents)} agents in {run.seconds:.2f} s, reading included: {steps / run.seconds:.0f} steps a second")


async def read_documents(run: Run, graph: Graph) -> list[StateSnapshot]:
    title(f"{len(run.agents)} agents read at the same time, until each asks a person")
    await run.together(graph.ainvoke({"name": a.path.name, "file": a.path.read_bytes()}, a.config) for a in run.agents)
    states = [await graph.aget_state(agent.config) for agent in run.agents]
    for agent, state in zip(run.agents, states, strict=True):
        check(bool(state.interrupts), f"{agent.name} waits for a person")
        print(
            f"  {agent.name}  {agent.path.name:34.34}{len(state.values['passages']):3} passages: {', '.join(state.values['keywords'][:4])}"
        )
    asked = states[0].interrupts[0].value
    print(f"  {run.agents[0].name} asks: {asked['question']}\n{quoted(asked['summary'])}")
    return states


async def compare(run: Run, graph: Graph, before: list[StateSnapshot]) -> None:
    title("The saver is closed, and another one opened on the same database")
    states = [await graph.aget_state(agent.config) for agent in run.agents]
    same = [
        (old.values, old.next, old.interrupts) == (new.values, new.next, new.interrupts) for old, new in zip(before, states, strict=True)
    ]
    check(all(same), "every thread is as it was")
    print(f"  {sum(same)} of {len(states)} threads have the state and the open question that they had")


async def give_answers(run: Run, graph: Graph) -> None:
    title("A person answers all of them; the last summary should be longer first")
    said = ["approve"] * (len(run.agents) - 1) + ["longer"]
    await run.together(graph.ainvoke(Command(resume=word), agent.config) for agent, word in zip(run.agents, said, strict=True))
    last = run.agents[-1]
    longer = await graph.aget_state(last.config)
    check(bool(longer.interrupts), f"{last.name} asks again")
    print(f"  {last.name} asks again, with {longer.values['sentences']} sentences")
    await run.together([graph.ainvoke(Command(resume="approve"), last.config)])
    states = [await graph.aget_state(agent.config) for agent in run.agents]
    check(all(state.values["approved"] and not state.next for state in states), "every summary is approved")
    print(f"  {len(states)} of {len(states)} summaries are approved")


async def ask_questions(run: Run, graph: Graph) -> None:
    title(f"Each thread is asked about its document; {_SAMPLES} of them:")
    states = [await graph.aget_state(agent.config) for agent in run.agents]
    questions = [agent.question(state.values["keywords"]) for agent, state in zip(run.agents, states, strict=True)]
    results = await run.together(graph.ainvoke({"question": q}, a.config) for a, q in zip(run.agents, questions, strict=True))
    for agent, result in list(zip(run.agents, results, strict=True))[:_SAMPLES]:
        question, answer = result["messages"][-2:]
        print(f"  {agent.name}  {question['text']}\n{quoted(answer['text'])}")


async def look_back(agent: Agent, graph: Graph) -> None:
    title(f"The history of {agent.name}, oldest first, and a way back into it")
    history = [snapshot async for snapshot in graph.aget_state_history(agent.config)]
    print("  step  source  messages  next")
    for snapshot in reversed(history):
        metadata = snapshot.metadata or {}
        print(f"  {metadata['step']:4}  {metadata['source']:6}  {len(snapshot.values.get('messages', [])):8}  {upcoming(snapshot)}")
    earlier = next(snapshot for snapshot in history if snapshot.next == ("review",))
    old, now = await graph.aget_state(earlier.config), await graph.aget_state(agent.config)
    check("approved" not in old.values and "answer" not in old.values, "the earlier state knows nothing of what came later")
    check(old.values == earlier.values and now.values == history[0].values, "going back changes nothing")
    for when, state in (("back at step", old), ("newest, step", now)):
        values = state.values
        print(
            f"  {when} {(state.metadata or {})['step']}: {len(values['messages'])} messages, "
            f"approved: {values.get('approved')}, question: {values.get('question')}"
        )


async def search(run: Run, saver: SQLAlchemySaver) -> None:
    title("Checkpoints found by their metadata, across all threads")
    ours = {"run": run.agents[0].run}
    document = run.agents[0].path.name
    for wanted in ({"document": document}, {"source": "input"}, {"document": document, "step": {"$gte": 4}}):
        found = await saver.alist(None, filter={**ours, **wanted})
        threads = {hit.config["configurable"]["thread_id"] for hit in found}
        print(f"  {wanted!s:62} {len(found):4} checkpoints in {len(threads)} threads")
        if wanted == {"source": "input"}:
            check(len(found) == 2 * len(run.agents), "each thread had a document and a question as its inputs")


# --- words -----------------------------------------------------------------------------------------------------------


def title(text: str) -> None:
    print(f"\n{text}")


def quoted(text: str) -> str:
    return fill(shorten(text, 240, placeholder=" ..."), 136, initial_indent="      ", subsequent_indent="      ")


def upcoming(snapshot: StateSnapshot) -> str:
    names = dict.fromkeys(snapshot.next)
    return ", ".join(name if snapshot.next.count(name) == 1 else f"{name} x{snapshot.next.count(name)}" for name in names) or "-"


def check(holds: bool, promise: str) -> None:
    if not holds:
        raise DemoFailed(f"this should hold and does not: {promise}")


# --- the beginning ---------------------------------------------------------------------------------------------------


def agents_for(paths: Sequence[Path]) -> list[Agent]:
    """Ten agents, or one for each document where there are more."""
    run = f"demo-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    return [Agent(f"agent-{index + 1:02}", run, paths[index % len(paths)], index // len(paths)) for index in range(max(AGENTS, len(paths)))]


def check_documents(paths: Sequence[Path]) -> None:
    """Fail before anything is stored, with a line that names the file."""
    for path in paths:
        try:
            passages_of(path.name, path.read_bytes())
        except FileNotFoundError as exc:
            raise DemoFailed(f"there is no file {path}") from exc
        except OSError as exc:
            raise DemoFailed(f"{path} can't be read: {exc.strerror}") from exc
        except UnreadableDocument as exc:
            raise DemoFailed(str(exc)) from exc


def fresh_default_database() -> str:
    """The path of a SQLite file that does not exist yet; what an earlier demo left goes."""
    DEFAULT_DATABASE.parent.mkdir(exist_ok=True)
    for left in DEFAULT_DATABASE.parent.glob(f"{DEFAULT_DATABASE.name}*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    return str(DEFAULT_DATABASE.absolute())


def main() -> None:
    parser = argparse.ArgumentParser(description="Ten agents on one checkpoint store.")
    parser.add_argument("--url", help=f"the database: a file path or a URL (default: a fresh {DEFAULT_DATABASE})")
    parser.add_argument("--blob-url", help="where large values go, e.g. file:///tmp/blobs or s3://bucket/prefix")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="texts and PDFs to read (default: the ones shipped)")
    arguments = parser.parse_args()
    paths = arguments.files or sorted(path for path in SHIPPED.iterdir() if path.suffix in (".md", ".pdf"))
    try:
        check_documents(paths)
        if arguments.url and is_memory(parse_database_url(arguments.url)):
            raise DemoFailed("the demo closes its database and opens it again, so it can't live in memory")
        url = arguments.url or fresh_default_database()
        print(f"database: {parse_database_url(url).render_as_string(hide_password=True)}")
        asyncio.run(demo(Run(url, arguments.blob_url, agents_for(paths))))
    except (DemoFailed, CkptStoreError) as exc:
        sys.exit(f"demo: {exc}")


if __name__ == "__main__":
    main()
