"""Deletes the texts of tags that no checkpoint has any more, where rows of tags have numbers in their place (PostgreSQL)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.runner import Work
from ckptstore.db.sqlstates import sqlstate_of
from ckptstore.runtime.steps import Steps

logger = logging.getLogger(__name__)

# In one transaction: writers with tags wait for it.
_PAGE_SIZE = 200
# So they wait for whoever makes that one wait, too.
_LOCK_TIMEOUT = "100ms"
_LOCK_NOT_AVAILABLE = "55P03"


Run = Callable[[Work[Any]], Steps[Any]]


def delete_values_left(read: Run, write: Run, attempts: int = 1) -> Steps[bool]:
    """Delete the values of deleted tags that no other tag has, in small transactions.

    Args:
        read: runs work that reads.
        write: runs work that writes.
        attempts: how often to ask for the lock that each transaction needs, which waits for writers under way.

    Returns:
        Whether none is left.
    """
    while numbers := (yield from read(values_left)):
        for attempt in range(1, attempts + 1):
            if (yield from write(partial(delete_values, numbers=numbers))):
                break
            if attempt == attempts:
                logger.info("the values of deleted tags are left to the next prune: others are writing", extra={"event": "tag_values_left"})
                return False
    return True


def values_left(db: Db) -> Sequence[int]:
    """The numbers of some values of deleted tags."""
    if not db.statements.numbers_tags:
        return ()
    return [number for (number,) in db.run(sql.numbered_rows.values_left, {"page_size": _PAGE_SIZE})]


def delete_values(db: Db, numbers: Sequence[int]) -> bool:
    """Delete those of some values that no tag has; returns whether that was done. If transactions under way keep it from that, it is not.

    Whoever inserts or deletes tags holds a lock of their table until the commit. This waits for all of them, so it sees what they did,
    and whoever inserts tags after it does not find the values.
    """
    try:
        with db.transaction():
            db.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
            db.execute(f"LOCK TABLE {db.statements.table_name(sql.tables.NUMBERED_POSTING.name)} IN SHARE ROW EXCLUSIVE MODE")
            given = db.key_parameters(("number",), [(str(number),) for number in numbers])
            db.run(sql.numbered_rows.delete_unused_values, given)
            db.run(sql.numbered_rows.forget_values_left, given)
    except Exception as exc:
        if sqlstate_of(exc) != _LOCK_NOT_AVAILABLE:
            raise
        return False
    return True
