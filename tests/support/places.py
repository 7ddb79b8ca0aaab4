"""Two places, and savers on the first that go on at the second after a move."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.runtime.steps import drive
from ckptstore.transfer.moving import Move, unseal
from ckptstore.transfer.options import TransferCallbacks
from ckptstore.transfer.seal import Seal, end_move, seal_store
from tests.support.build import checkpoint, config, metadata
from tests.support.databases import url_of
from tests.support.transfers import fill

#: From where to where.
DIRECTIONS = [
    pytest.param(("sqlite", "asyncpg"), id="sqlite to postgres"),
    pytest.param(("psycopg", "sqlite"), id="postgres to sqlite"),
]


class Places:
    """Two places, and savers on the first that know of the second."""

    def __init__(self, one: str, other: str, folder: Path) -> None:
        self.one, self.other, self._folder = one, other, folder
        self.opened: list[SQLAlchemySaver] = []

    def open(self, url: str | None = None, **options: Any) -> SQLAlchemySaver:
        saver = SQLAlchemySaver.from_conn_string(url or self.one, **{"blob_url": str(self._folder / "blobs"), **options})
        self.opened.append(saver)
        return saver

    def follower(self, **options: Any) -> SQLAlchemySaver:
        return self.open(**{"moved_to": self.other, **options})

    def move(self) -> Move:
        return Move(self.open().store, self.open(self.other).store, None, "digests", LANGGRAPH, self.opened[-1]._now, TransferCallbacks())


@contextmanager
def two_places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Places]:
    """Two places of the kinds that the request names; the first has threads."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one, other = (url_of(kind, request, tmp_path / name) for kind, name in zip(request.param, ("one", "other"), strict=True))
    places = Places(one, other, tmp_path)
    with places.open() as saver:
        fill(saver)
    yield places
    drive(unseal(places.open().store))
    for saver in places.opened:
        saver.close()


def put(saver: SQLAlchemySaver, thread_id: str, number: int = 1) -> Any:
    version = f"{number:08}.x"
    made = checkpoint({"n": number, "text": f"{thread_id} {number} " * 20}, {"n": version, "text": version})
    return saver.put(config(thread_id), made, metadata(number), made["channel_versions"])


def seal(places: Places, **parts: Any) -> Seal:
    """Seal the first place as a move does that has not ended."""
    made = places.move()._seal()._replace(**parts)
    places.open().store.runner.write(partial(seal_store, seal=made)).result()
    return made


async def refused(saver: SQLAlchemySaver, number: int) -> None:
    """Return when so many writes wait for the end of the move."""
    while saver.stats().queue_depth < number:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def end_of_move(places: Places) -> None:
    move = places.move()
    drive(move._round())
    move._source.runner.write(end_move).result()
