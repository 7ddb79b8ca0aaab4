"""A short write test beside a live store: in a folder next to a SQLite file, or a schema of the same PostgreSQL database.

Both are taken away afterwards, also when the test is interrupted or killed: another process does it. What is left where that was killed
too, or the machine stopped, is taken away by the next test.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import URL

from ckptstore.cli.doctor_cleanup import cleaned_up
from ckptstore.db.connection import Db
from ckptstore.db.url import is_memory
from ckptstore.errors import InvalidConfig
from ckptstore.langgraph.saver import SQLAlchemySaver
from ckptstore.langgraph.trial_writes import writes_per_second
from ckptstore.monitoring.settings import MonitoringSettings

_WRITERS = 32
# Another test may be under way.
_LEFT_BEHIND_SECONDS = 600
_FOLDER = ".ckptstore-doctor-"
_SCHEMA = "ckpt_doctor_"
_SCHEMAS = f"SELECT nspname FROM pg_catalog.pg_namespace WHERE left(nspname, {len(_SCHEMA)}) = '{_SCHEMA}'"


class _Scratch(NamedTuple):
    """Where the test writes."""

    url: URL | str
    schema: str | None


def measure(url: URL, seconds: float, interrupted: threading.Event) -> float:
    """How many writes per second 32 threads of agents get stored at this location of a store.

    Args:
        url: of the store.
        seconds: how long the test takes; less if it is interrupted.
        interrupted: ends the test.

    Raises:
        InvalidConfig: the database is in memory.
        CkptStoreError: the database can't be reached, or the user may not create a schema.
    """
    if is_memory(url):
        raise InvalidConfig("a database in memory can't be measured from another process")
    with _scratch(url) as scratch:
        return asyncio.run(_measure(scratch, seconds, interrupted))


@contextmanager
def _scratch(url: URL) -> Iterator[_Scratch]:
    name = f"{int(time.time())}_{secrets.token_hex(4)}"
    if url.get_backend_name() != "sqlite":
        schema = f"{_SCHEMA}{name}"
        with cleaned_up(url=url.render_as_string(hide_password=False), schemas=[schema]):
            yield _Scratch(url, schema)
        return
    beside = Path(str(url.database)).absolute().parent
    for left in beside.glob(f"{_FOLDER}*"):
        if _is_left_behind(left.name.removeprefix(_FOLDER)):
            shutil.rmtree(left, ignore_errors=True)
    folder = beside / f"{_FOLDER}{name}"
    with cleaned_up(folder=str(folder)):
        folder.mkdir()
        yield _Scratch(str(folder / "scratch.sqlite"), None)


def _is_left_behind(name: str) -> bool:
    began = name.partition("_")[0]
    return began.isdecimal() and time.time() - int(began) > _LEFT_BEHIND_SECONDS


async def _measure(scratch: _Scratch, seconds: float, interrupted: threading.Event) -> float:
    quiet = MonitoringSettings(record_load=False)
    async with SQLAlchemySaver.from_conn_string(scratch.url, schema=scratch.schema, monitoring=quiet) as saver:
        await saver.setup()
        if scratch.schema is not None:
            await asyncio.to_thread(saver.store.runner.write(_drop_left_behind).result)
        return await writes_per_second(saver, _WRITERS, seconds, interrupted)


def _drop_left_behind(db: Db) -> None:
    """Drop the schemas of tests that are over."""
    db.expect_long()
    for (name,) in db.execute(_SCHEMAS):
        if _is_left_behind(name.removeprefix(_SCHEMA)):
            db.execute(f"DROP SCHEMA {db.connection.dialect.identifier_preparer.quote(name)} CASCADE")
