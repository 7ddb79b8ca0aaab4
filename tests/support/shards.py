"""A saver that works as on a distributed database, on plain PostgreSQL, which executes all of those statements too."""

from __future__ import annotations

from ckptstore import SQLAlchemySaver
from ckptstore.db.abilities import Abilities
from ckptstore.db.async_runner import AsyncRunner
from ckptstore.db.capabilities import of_distributed


async def as_on_shards(saver: SQLAlchemySaver) -> SQLAlchemySaver:
    """The saver, after it has found its database to be distributed; without functions, which need Citus's own."""
    await saver.setup()
    runner = saver.store.runner
    assert isinstance(runner, AsyncRunner)
    statements = runner.statements.for_database(sharded=True, numbers_tags=False)
    runner.abilities = Abilities(database=of_distributed(8, by_thread=True), statements=statements)
    return saver
