"""SQLite files whose pages are mostly free, since nearly all rows were deleted."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path

from ckptstore import SQLAlchemySaver
from tests.support.build import config, put

TEXT = [os.urandom(6_000).hex() for _ in range(100)]


def pragma(path: Path, name: str) -> int:
    connection = sqlite3.connect(path)
    found: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    connection.close()
    return found


async def fill_and_delete(url: str | Path) -> None:
    """A database of a megabyte, nearly all of which was deleted."""
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await asyncio.gather(*(put(saver, config(f"t{number}"), {"text": text}, number) for number, text in enumerate(TEXT)))
        await asyncio.gather(*(saver.adelete_thread(f"t{number}") for number in range(len(TEXT) - 5)))
