"""What a store holds, counted from outside: the tables' models, and an engine of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from ckptstore.db.models import Base, Channel, Checkpoint, Segment, StoredObject, Tag, Thread, Write
from ckptstore.db.url import parse_database_url, split_connect_args

# Checkpoints first: their count is the number of steps.
MODELS: tuple[type[Base], ...] = (Checkpoint, Write, Channel, Segment, Tag, Thread, StoredObject)


async def print_account(database_url: str, thread_ids: Sequence[str]) -> int:
    """Print rows and bytes of every table; returns how many checkpoints these threads have."""
    url, connect_args = split_connect_args(parse_database_url(database_url))
    engine = create_async_engine(url, connect_args=connect_args)
    try:
        async with engine.connect() as connection:
            print(f"  {'table':16}{'rows of this run':>18}{'rows in all':>14}{'bytes in all':>15}")
            ours = [await _print_table(connection, model, thread_ids) for model in MODELS]
            objects = select(func.count(), func.coalesce(func.sum(StoredObject.size), 0))
            count, size = (await connection.execute(objects)).one()
    finally:
        await engine.dispose()
    if engine.dialect.name == "sqlite":
        print(f"  {'the whole file':48}{_file_bytes(url):15,}")
    if count:
        print(f"  the blob store: {count} objects, {size:,} bytes")
    return ours[0]


async def _print_table(connection: AsyncConnection, model: type[Base], thread_ids: Sequence[str]) -> int:
    table: Any = model
    count = select(func.count()).select_from(table)
    rows = await connection.scalar(count) or 0
    ours = rows if model is StoredObject else await connection.scalar(count.where(table.thread_id.in_(thread_ids))) or 0
    size = await _bytes(connection, model)
    print(f"  {model.__tablename__:16}{'-' if model is StoredObject else ours:>18}{rows:14,}{size:>15}")
    return ours


async def _bytes(connection: AsyncConnection, model: type[Base]) -> str:
    # With indexes and what is stored out of line. SQLite can only tell the size of its file.
    if connection.dialect.name != "postgresql":
        return "-"
    return f"{await connection.scalar(select(func.pg_total_relation_size(model.__tablename__))):,}"


def _file_bytes(url: URL) -> int:
    return Path(str(url.database)).stat().st_size
