"""ckptstore on PostgreSQL whose tables are laid out otherwise: in partitions and, where there is a cluster, distributed by Citus."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.contenders import AnySaver, Contender
from benchmarks.databases import PostgresDatabase
from ckptstore import SQLAlchemySaver

PARTITIONED = "ckptstore partitions"
DISTRIBUTED = "ckptstore Citus"
#: Names a database of a cluster at its coordinator, as for the tests.
CITUS_URL_VARIABLE = "CKPTSTORE_CITUS_URL"
PARTS = 8


class CitusSchema(PostgresDatabase):
    """A schema of its own in a database of a cluster; its URL ends in `#` and the schema."""

    def __init__(self, citus_url: str) -> None:
        super().__init__(citus_url)
        self.schema = f"ckptstore_bench_{secrets.token_hex(6)}"
        self._name = self._server.database or ""
        self.url = f"{citus_url}#{self.schema}"

    async def create(self) -> None:
        """Do nothing: the saver makes its schema."""

    async def remove(self) -> None:
        await self.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")

    async def size(self) -> int:
        query = (
            "SELECT coalesce(sum(citus_total_relation_size(logicalrelid)), 0) FROM pg_dist_partition JOIN pg_class ON oid = logicalrelid "
            f"WHERE relnamespace = '{self.schema}'::regnamespace"
        )
        return int((await self.execute(query))[0][0])


@asynccontextmanager
async def _partitioned(url: str) -> AsyncIterator[AnySaver]:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await saver.setup(partitions=PARTS)
        yield saver


@asynccontextmanager
async def _distributed(url: str) -> AsyncIterator[AnySaver]:
    database, _, schema = url.partition("#")
    async with SQLAlchemySaver.from_conn_string(database, schema=schema) as saver:
        await saver.setup(shards=PARTS)
        yield saver


def layouts(postgres_url: str | None) -> list[Contender]:
    """Those that can take part: the first one with a server, the second one where the environment names a cluster."""
    citus_url = os.environ.get(CITUS_URL_VARIABLE)
    found = []
    if postgres_url is not None:
        found.append(Contender(PARTITIONED, _partitioned, lambda: PostgresDatabase(postgres_url)))
    if citus_url:
        found.append(Contender(DISTRIBUTED, _distributed, lambda: CitusSchema(citus_url)))
    return found
