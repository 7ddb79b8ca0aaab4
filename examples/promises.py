"""The promises of a checkpoint store, each shown on agents that read documents."""

from __future__ import annotations

import asyncio
import io
import os
import secrets
import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from textwrap import fill
from typing import Any

from agent import reading_agent
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, StateSnapshot
from objects import count_objects
from pypdf import PdfWriter
from tqdm import tqdm

from ckptstore import RetentionPolicy, SQLAlchemySaver
from ckptstore.db.url import parse_database_url
from ckptstore.errors import CheckpointTooLarge

SAMPLE = Path(__file__).parent / "documents" / "handbook.pdf"
AGENTS = 20
UPLOAD_BYTES = 5_000_000
TOO_LARGE = 15_000_000
WIDTH = 130

#: What an agent streams until it asks a person, and what after the answer: the progress line counts it.
STATES_TO_QUESTION = 5
STATES_AFTER_ANSWER = 2

Graph = CompiledStateGraph[Any, Any, Any, Any]


class DemoFailed(Exception):
    """The demo can't go on, or saw something else than it promises."""


@dataclass(frozen=True)
class Document:
    """A file that agents read."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Agent:
    """One agent: a thread of its own, on a document that others may read as well."""

    thread_id: str
    document: Document
    run: str

    @property
    def config(self) -> RunnableConfig:
        return {"configurable": {"thread_id": self.thread_id}, "metadata": {"run": self.run, "document": self.document.name}}

    @property
    def input(self) -> dict[str, Any]:
        return {"name": self.document.name, "file": self.document.content}


@dataclass
class Demo:
    """Where it stores, and what is read.

    Args:
        url: the database.
        blob_url: where large values are stored; None for the default of the database.
        documents: what the agents read, at least one.
        folder: for files of the demo's own.
    """

    url: str
    blob_url: str | None
    documents: list[Document]
    folder: Path
    name: str = field(default_factory=lambda: f"demo-{time.strftime('%H%M%S')}-{secrets.token_hex(2)}")

    def saver(self, url: str | None = None) -> SQLAlchemySaver:
        return SQLAlchemySaver.from_conn_string(url or self.url, **({} if self.blob_url is None else {"blob_url": self.blob_url}))

    @property
    def on_server(self) -> bool:
        return parse_database_url(self.url).get_backend_name() != "sqlite"

    @property
    def agents(self) -> list[Agent]:
        documents = [self.documents[number % len(self.documents)] for number in range(max(AGENTS, len(self.documents)))]
        return [Agent(f"{self.name}/{number + 1:02}", document, self.name) for number, document in enumerate(documents)]

    async def run(self) -> None:
        """Show one promise after the other.

        Raises:
            DemoFailed: one does not hold.
        """
        where = parse_database_url(self.url).render_as_string(hide_password=True)
        print(f"{len(self.agents)} agents, {len(self.documents)} documents, one database: {where}")
        async with self.saver() as saver:
            await saver.setup()  # A server's schema changes only when asked; a SQLite file would do without.
            waiting = await self.read_at_once(saver)
        async with self.saver() as saver:
            await self.resume(saver, waiting)
            await self.upload_once(saver)
            await self.search(saver)
            await self.keep_bounded(saver)
            await self.refuse(saver)
            await self.import_official(saver)
        self.say_what_next()

    # --- the promises -----------------------------------------------------------------------------------------------

    async def read_at_once(self, saver: SQLAlchemySaver) -> list[StateSnapshot]:
        title(1, "Concurrent: all agents read at the same time, until each asks a person")
        graph = reading_agent().compile(checkpointer=saver)
        started = time.perf_counter()
        await together("reading", (first_run(graph, agent) for agent in self.agents), STATES_TO_QUESTION)
        seconds = time.perf_counter() - started
        states = [await graph.aget_state(agent.config) for agent in self.agents]
        check(all(state.interrupts for state in states), "every agent waits for a person")
        steps = 0
        for agent in self.agents:
            numbers = [found.metadata["step"] for found in await saver.alist(agent.config)]
            check(numbers == sorted(numbers, reverse=True), "the steps of a thread are in their order")
            steps += len(numbers)
        say(f"{steps} checkpoints of {len(states)} threads in {seconds:.2f} s, each thread in its order, no `database is locked`")
        say(f"the first asks: {states[0].interrupts[0].value['question']}")
        return states

    async def resume(self, saver: SQLAlchemySaver, waiting: list[StateSnapshot]) -> None:
        say("the saver was closed; another one opened on the same database:")
        graph = reading_agent().compile(checkpointer=saver)
        states = [await graph.aget_state(agent.config) for agent in self.agents]
        same = sum((old.values, old.interrupts) == (new.values, new.interrupts) for old, new in zip(waiting, states, strict=True))
        check(same == len(states), "every thread is as it was")
        await together("answering", (second_run(graph, agent) for agent in self.agents), STATES_AFTER_ANSWER)
        states = [await graph.aget_state(agent.config) for agent in self.agents]
        approved = sum(bool(state.values["approved"]) for state in states)
        check(approved == len(states), "every summary is approved")
        say(f"{same} of {len(states)} threads have the state and the question that they had; {approved} are answered and go on")

    async def upload_once(self, saver: SQLAlchemySaver) -> None:
        title(2, "Uploads: a PDF of 5 MB passes through two agents, and is stored once")
        graph = reading_agent().compile(checkpointer=saver)
        document = Document("scan.pdf", pdf_with_attachment())
        before = self.objects()
        pair = [Agent(f"{self.name}/scan-{number}", document, self.name) for number in (1, 2)]
        await together("uploading", (first_run(graph, agent) for agent in pair), STATES_TO_QUESTION)
        checkpoints = [found for agent in pair for found in await saver.alist(agent.config)]
        holding = sum(found.checkpoint["channel_values"].get("file") == document.content for found in checkpoints)
        threads = await saver.alist_threads(filter={"document": "scan.pdf", "run": self.name})
        check(holding >= 2 and len(threads) == 2, "both threads hold the file")
        say(f"{holding} checkpoints of {len(threads)} threads hold the file of {len(document.content):,} bytes, byte by byte")
        if before is None:
            say("without a blob URL the database stores it")
        else:
            new = (self.objects() or 0) - before
            check(new == 1, f"one object was added to the blob store, not {new}")
            say(f"the blob store has {new} object more: {self.blob_place()}")

    async def search(self, saver: SQLAlchemySaver) -> None:
        title(3, "Tags: checkpoints of all threads, found by their metadata through an index")
        document = self.documents[0].name
        for wanted in ({"document": document}, {"document": document, "step": {"$gte": 2}}, {"source": "input", "document": document}):
            started = time.perf_counter()
            found = await saver.alist(None, filter={"run": self.name, **wanted})
            milliseconds = (time.perf_counter() - started) * 1000
            names = {hit.metadata["document"] for hit in found}
            check(names == {document}, "only checkpoints of this document are found")
            say(f"{len(found):4} checkpoints in {milliseconds:.0f} ms: {wanted}")

    async def keep_bounded(self, saver: SQLAlchemySaver) -> None:
        title(4, "Bounded: all but the newest checkpoint of each thread of this demo are deleted")
        graph = reading_agent().compile(checkpointer=saver)
        before = [(await graph.aget_state(agent.config)).values for agent in self.agents]
        policy = RetentionPolicy(max_age=timedelta(0), keep_last=1)
        would = await saver.aprune_by(policy, dry_run=True)
        say(f"a dry run of {policy.to_dict()} says {would.checkpoints} checkpoints of {would.threads} threads")
        await saver.aprune([agent.thread_id for agent in self.agents], strategy="keep_latest")
        left = sum([len(await saver.alist(agent.config)) for agent in self.agents])
        check(left == len(self.agents), "one checkpoint of each thread is left")
        after = [(await graph.aget_state(agent.config)).values for agent in self.agents]
        check(after == before, "what is kept reads as before")
        say(f"{left} are left, and all {len(after)} states are as they were")

    async def refuse(self, saver: SQLAlchemySaver) -> None:
        title(5, "Limits: an agent that stores a text of 15 MB is refused, before anything of it is written")
        graph = reading_agent().compile(checkpointer=saver)
        agent = Agent(f"{self.name}/too-large", self.documents[0], self.name)
        try:
            await graph.ainvoke({**agent.input, "summary": "x" * TOO_LARGE}, agent.config)
        except CheckpointTooLarge as refused:
            check(await saver.alist(agent.config) == [], "nothing of it was stored")
            say(f"CheckpointTooLarge: {refused}")
        else:
            raise DemoFailed("a checkpoint of 15 MB was stored")

    async def import_official(self, saver: SQLAlchemySaver) -> None:
        title(6, f"Your own: a file of LangGraph's AsyncSqliteSaver, {'moved to PostgreSQL' if self.on_server else 'imported'}")
        path = self.folder / "official.sqlite"
        path.unlink(missing_ok=True)
        agents = [Agent(f"{self.name}/official-{number}", self.documents[0], self.name) for number in range(5)]
        async with AsyncSqliteSaver.from_conn_string(str(path)) as official:
            graph = reading_agent().compile(checkpointer=official)
            await together("writing the official file", (first_run(graph, agent) for agent in agents), STATES_TO_QUESTION)
            states = [(await graph.aget_state(agent.config)).values for agent in agents]
        report = await saver.aimport_from(str(path))
        graph = reading_agent().compile(checkpointer=saver)
        check([(await graph.aget_state(agent.config)).values for agent in agents] == states, "imported threads read as they did")
        for agent in agents:
            await graph.ainvoke(Command(resume="approve"), agent.config)
        say(f"{report.checkpoints} checkpoints of {len(agents)} threads, equal when read, and resumed where the official saver stopped")

    # --- what surrounds them ----------------------------------------------------------------------------------------

    def blob_place(self) -> str | None:
        """Where large values are stored; None for the database itself."""
        if self.blob_url is not None or self.on_server:
            return self.blob_url
        return f"{parse_database_url(self.url).database}.blobs"

    def objects(self) -> int | None:
        place = self.blob_place()
        try:
            return None if place is None else count_objects(place)
        except Exception as exc:  # Each service and fsspec's package for it have errors of their own.
            raise DemoFailed(f"the blob store {place} can't be listed: {type(exc).__name__}: {exc}") from exc

    def say_what_next(self) -> None:
        # The demo's own environment is not active in the reader's shell.
        ckptstore = "ckptstore" if shutil.which("ckptstore") else os.path.relpath(Path(sys.executable).parent / "ckptstore")
        file = None if self.on_server else os.path.relpath(str(parse_database_url(self.url).database))
        of_file = "" if file is None else f" --url {file}"
        print("\nLook at it")
        if file is None:
            say("export CKPTSTORE_DATABASE_URL='...'  # the URL that you gave: its password is not printed")
        if self.blob_url is not None:
            say(f"export CKPTSTORE_BLOB_URL='{self.blob_url}'")
        for command in ("threads list", f"threads show {self.name}/01", "stats"):
            say(f"{ckptstore} {command}{of_file}")
        say(f"{ckptstore} inspect{of_file}  # in a browser")
        if file is not None:
            say(f"{ckptstore} move --from {file} --to postgresql://...  # while agents write")


def title(number: int, text: str) -> None:
    print(f"\n{number}. {text}")


def say(text: str) -> None:
    print(fill(text, WIDTH, initial_indent="   ", subsequent_indent="     ", break_on_hyphens=False))


def check(holds: bool, promise: str) -> None:
    if not holds:
        raise DemoFailed(f"this should hold and does not: {promise}")


def first_run(graph: Graph, agent: Agent) -> AsyncIterator[Any]:
    return graph.astream(agent.input, agent.config, stream_mode="values")


def second_run(graph: Graph, agent: Agent) -> AsyncIterator[Any]:
    return graph.astream(Command(resume="approve"), agent.config, stream_mode="values")


async def together(doing: str, runs: Iterable[AsyncIterator[Any]], states: int) -> None:
    """Run all at once, each to its end; a terminal shows how far they are.

    Args:
        doing: what they do, for the progress line.
        runs: what `astream(..., stream_mode="values")` of a graph returns.
        states: how many states each streams.
    """
    running = list(runs)
    with tqdm(total=len(running) * states, desc=f"   {doing}", unit="step", leave=False, disable=None) as progress:

        async def follow(run: AsyncIterator[Any]) -> None:
            async for _ in run:
                progress.update()

        await asyncio.gather(*map(follow, running))


def pdf_with_attachment() -> bytes:
    """A PDF of 5 MB that nobody has stored yet: the handbook, with random bytes attached."""
    writer = PdfWriter(clone_from=str(SAMPLE))
    writer.add_attachment("scan.raw", os.urandom(UPLOAD_BYTES))
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()
