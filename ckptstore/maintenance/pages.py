"""Reading tables in the order of their keys, and the keys of a backend, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Table

from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.errors import DatabaseCorrupt

R = TypeVar("R")

_MAX_PAGE_BYTES = 16 * 1024 * 1024


async def pages(
    read: Callable[[dict[str, Any]], Awaitable[Sequence[R]]], start: dict[str, Any], after: Callable[[R], dict[str, Any]], page_size: int
) -> AsyncIterator[Sequence[R]]:
    """Rows in the order of their keys, a page at a time.

    Args:
        read: reads one page, given its parameters.
        start: the key parameters of the first page.
        after: the key parameters of the page after a row.
        page_size: rows of a page.

    Raises:
        DatabaseCorrupt: the database returned rows that come before the given key, so that the pages might never end.
    """
    key = start
    while rows := await read({**key, "page_size": page_size}):
        yield rows
        last, key = key, after(rows[-1])
        if not _is_after(list(key.values()), list(last.values())):
            raise DatabaseCorrupt("the database returns rows out of the order of their keys: an index of it is damaged; restore a backup")


def within_bytes(db: Db, table: Table, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a page of as many of its rows as have 16 MiB, at least one: rows of some MiB each would fill the memory."""
    left = _MAX_PAGE_BYTES
    count = 0
    for (size,) in db.run(sql.verify.sizes_after, parameters, table):
        left -= size
        if count and left < 0:
            break
        count += 1
    return {**parameters, "page_size": max(1, count)}


async def key_pages(backend: BlobBackend, page_size: int) -> AsyncIterator[list[str]]:
    """The keys of all objects in a backend, some at a time."""
    page: list[str] = []
    async for entry in backend.entries():
        page.append(entry.key)
        if len(page) == page_size:
            yield page
            page = []
    if page:
        yield page


def _is_after(key: list[Any], last: list[Any]) -> bool:
    try:
        return key > last
    except TypeError:
        # On SQLite a cell of a key may have turned into another type.
        return False
