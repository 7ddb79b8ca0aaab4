"""The official savers, filled, to be imported from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from psycopg.rows import dict_row

from ckptstore import SQLAlchemySaver
from tests.support.clocks import Days
from tests.support.graph_runs import CASES, Script
from tests.support.remaining import World

OFFICIAL = ("sqlite", "postgres")
Saver = BaseCheckpointSaver[Any]
Open = Callable[[], AbstractAsyncContextManager[Saver]]


class Place:
    """Where an official saver stores: what an import is told, and how the saver is opened there."""

    def __init__(self, kind: str, folder: Path, postgres_url: str) -> None:
        self.kind = kind
        self.schema = f"official_{uuid4().hex[:8]}" if kind == "postgres" else None
        self.source = str(folder / "official.sqlite") if kind == "sqlite" else postgres_url

    @asynccontextmanager
    async def open(self, serde: Any = None) -> AsyncIterator[Any]:
        """The saver, with its tables."""
        if self.schema is None:
            async with AsyncSqliteSaver.from_conn_string(self.source) as sqlite:
                sqlite.serde = serde or sqlite.serde
                await sqlite.setup()
                yield sqlite
            return
        async with await psycopg.AsyncConnection.connect(
            self.source, autocommit=True, prepare_threshold=0, row_factory=dict_row
        ) as connection:
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self.schema}")
            await connection.execute(f"SET search_path TO {self.schema}")
            postgres = AsyncPostgresSaver(connection, serde=serde)
            await postgres.setup()
            yield postgres

    async def drop(self) -> None:
        """Drop the schema."""
        if self.schema is not None:
            async with await psycopg.AsyncConnection.connect(self.source, autocommit=True) as connection:
                await connection.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")


async def run_graph(saver: Any, name: str) -> Any:
    """Run one of the graphs three times in thread `t`; returns it."""
    case, world = CASES[name], World(saver)
    graph = case.build(world).compile(checkpointer=saver)
    await case.script(Script(saver, Days(), world, graph))
    return graph


async def everything(saver: Any) -> dict[Any, Any]:
    """What a saver gives of all its checkpoints; a parent that is not there is None."""
    found = [each async for each in saver.alist(None)]
    keys = {key_of(each.config) for each in found}
    return {
        key_of(each.config): (
            each.checkpoint,
            each.metadata,
            key_of(each.parent_config) if each.parent_config and key_of(each.parent_config) in keys else None,
            each.pending_writes,
        )
        for each in found
    }


def key_of(config: Any) -> tuple[str, str, str]:
    configurable = config["configurable"]
    return configurable["thread_id"], configurable["checkpoint_ns"], configurable["checkpoint_id"]


async def histories(saver: Any, *channels: str) -> dict[Any, Any]:
    """The delta histories at every checkpoint."""
    return {
        key: await saver.aget_delta_channel_history(
            config={"configurable": dict(zip(("thread_id", "checkpoint_ns", "checkpoint_id"), key, strict=True))}, channels=channels
        )
        for key in await everything(saver)
    }


def assert_filed(saver: SQLAlchemySaver) -> None:
    """Every checkpoint is found by each scalar of its metadata, and is whole."""
    for found in saver.list(None):
        step = found.metadata["step"]
        assert key_of(found.config) in {key_of(each.config) for each in saver.list(None, filter={"step": step})}
    assert saver.verify(deep=True).ok
