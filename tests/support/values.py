"""Where tests store values, and whether two values are the same."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from sqlalchemy import Table, select

from ckptstore import SQLAlchemySaver
from ckptstore.db.connection import Db
from ckptstore.db.models import Base
from tests.support.build import config

SERDE = JsonPlusSerializer()


NOISE = random.Random(7)


MIB = 1024 * 1024


WAIT_SECONDS = 50


@dataclass(frozen=True)
class StoreAddress:
    """A database, and the URL of its blobs."""

    url: str
    blob_url: str | None

    def open(self, **more: Any) -> SQLAlchemySaver:
        return SQLAlchemySaver.from_conn_string(self.url, blob_url=self.blob_url, **more)

    @property
    def folder(self) -> Path:
        return Path(self.blob_url or f"{self.url}.blobs")

    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return bool(one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes())
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple, deque)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, _DeltaSnapshot):
        return same(one.value, other.value)
    if isinstance(one, float):
        return repr(one) == repr(other)
    if isinstance(one, datetime):
        return bool(one == other and one.utcoffset() == other.utcoffset())
    return bool(one == other)


async def read(saver: SQLAlchemySaver, where: Any = None) -> dict[str, Any]:
    found = await saver.aget_tuple(where or config("t"))
    assert found is not None
    return dict(found.checkpoint["channel_values"])


def rows_of(db: Db, table: Table) -> list[dict[str, Any]]:
    return [dict(row) for row in db.connection.execute(select(table)).mappings()]


def rows(saver: SQLAlchemySaver) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of every table."""
    for name, table in Base.metadata.tables.items():
        yield from ((name, row) for row in saver.store.runner.read(partial(rows_of, table=table)).result())


def stored_bytes(saver: SQLAlchemySaver) -> int:
    """Bytes of every row, as text where they are not bytes."""
    return sum(len(item) if isinstance(item, bytes) else len(str(item)) for _, row in rows(saver) for item in row.values())
