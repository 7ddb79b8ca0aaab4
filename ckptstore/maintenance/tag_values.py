"""Deleting the texts of tag values that no checkpoint has any more."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.runner import Work
from ckptstore.db.sqlstates import sqlstate_of
from ckptstore.runtime.steps import Steps

logger = logging.getLogger(__name__)

_PAGE_SIZE = 1_000
# Writers with tags wait while values are deleted, and so for whoever makes that wait.
_LOCK_TIMEOUT = "100ms"
_LOCK_NOT_AVAILABLE = "55P03"


class ValueStore(Protocol):
    """What `delete_unused_values` needs of a store."""

    def read(self, work: Work[Any], /) -> Steps[Any]: ...
    def run_in_queue(self, work: Work[Any], /) -> Steps[Any]: ...


class ValuePage(NamedTuple):
    """Some values of the index, in the order of their numbers."""

    #: Those that no tag has.
    unused: Sequence[int]
    #: The number of the last one; None at the end.
    last: int | None


def delete_unused_values(store: ValueStore) -> Steps[int]:
    """Delete the values that no tag has, in small transactions; returns how many there were."""
    deleted, after = 0, 0
    while True:
        page: ValuePage = yield from store.read(partial(read_values, after=after))
        if page.unused:
            deleted += yield from store.run_in_queue(partial(delete_values, numbers=page.unused))
        if page.last is None:
            return deleted
        after = page.last


def read_values(db: Db, after: int) -> ValuePage:
    """The page of values after a number."""
    db.expect_long()
    rows = db.run(sql.tags.values_after, {"after": after, "page_size": _PAGE_SIZE}).all()
    return ValuePage([number for number, is_used in rows if not is_used], rows[-1][0] if len(rows) == _PAGE_SIZE else None)


def delete_values(db: Db, numbers: Sequence[int]) -> int:
    """Delete those of some values that no tag has; returns how many. If a transaction under way keeps them, they are left to the next run.

    A writer that found a value there inserts its tag later. It holds a lock of the table until it commits; this waits for it.
    """
    try:
        with db.transaction():
            if not db.on_sqlite:
                db.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                db.execute(f"LOCK TABLE {db.statements.table_name(sql.tables.TAG_VALUE.name)} IN SHARE ROW EXCLUSIVE MODE")
            return db.run(sql.tags.delete_unused_values, db.key_parameters(("id",), [(str(number),) for number in numbers])).rowcount
    except Exception as exc:
        if sqlstate_of(exc) != _LOCK_NOT_AVAILABLE:
            raise
        logger.info("%d tag values are left to the next prune: others are writing", len(numbers), extra={"event": "tag_values_left"})
        return 0
