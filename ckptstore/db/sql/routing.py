"""Statements on a database that keeps each thread on one of several shards: where they go.

Such a database sends a statement to the one shard that it concerns only if it names the thread as a constant on every table of threads. So
here a statement that takes a thread's id says so on each of these tables, and is the same in every other respect. All other statements go
to every shard, and are written without what their planner refuses (`lookups`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

from sqlalchemy import Alias, ClauseElement, ColumnElement, Compiled, Insert, Join, Select, Table, Text, bindparam
from sqlalchemy.sql import visitors

from ckptstore.db.tables import METADATA

#: What the functions of `db.sql` get in place of a dialect's name for a statement that goes to every shard.
SCATTERED = "scattered postgresql"

#: What they get in place of `postgresql` where tags are rows of texts: on shards, and where nobody may create triggers.
TEXTS_OF_TAGS = "postgresql with texts of tags"

#: The parameter by which such a statement is told which of the given objects segments refer to (`objects.is_referred_to`).
REFERENCED = "referenced"

#: The tables whose rows belong to one thread, by its id in their key.
PER_THREAD = frozenset(table.name for table in METADATA.tables.values() if "thread_id" in table.primary_key.columns)

_THREAD = "thread_id"
_THREADS_OF_KEYS = "keys_thread_id"
_TABLE_OF_THREADS = re.compile(rf"\b({'|'.join(PER_THREAD)})\b")


class Route(Enum):
    """Where a statement goes."""

    #: It touches no table of threads.
    NO_THREAD = "no thread"
    #: To the shard of the thread that its parameter `thread_id` names.
    ONE_THREAD = "one thread"
    #: For each thread of its keys to that one's shard, one after the other.
    EACH_THREAD = "each thread"
    #: To the shards of the rows that it inserts, which name their threads.
    ITS_ROWS = "its rows"
    #: To every shard.
    SCATTERED = "scattered"


def route_of(compiled: Compiled) -> Route:
    """Where a statement for plain PostgreSQL goes."""
    if not _TABLE_OF_THREADS.search(str(compiled)):
        return Route.NO_THREAD
    if isinstance(compiled.statement, Insert) and compiled.statement.select is None:
        return Route.ITS_ROWS
    if _THREAD in compiled.params:
        return Route.ONE_THREAD
    return Route.EACH_THREAD if _THREADS_OF_KEYS in compiled.params else Route.SCATTERED


def routed(statement: ClauseElement) -> Any:
    """A statement that names its thread, as the parameter `thread_id`, on every table of threads."""
    return visitors.cloned_traverse(statement, {}, dict.fromkeys(("select", "update", "delete"), _restrict))


def _restrict(statement: Any) -> None:
    froms = _final_froms(statement) if isinstance(statement, Select) else [statement.table]
    # Its own method returns another statement, and this one is a copy already.
    statement._where_criteria += tuple(_of_thread(table) for each in froms for table in _tables_of_threads(each))


def _final_froms(statement: Any) -> Any:
    """As SQLAlchemy's `get_final_froms`, which compiles the whole statement for a compiler that it then makes no use of."""
    return statement._compile_state_factory(statement, None)._get_display_froms()


def _of_thread(table: Any) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = table.c.thread_id == bindparam(_THREAD, type_=Text())
    return condition


def _tables_of_threads(source: Any) -> Iterator[Any]:
    if isinstance(source, Join):
        yield from _tables_of_threads(source.left)
        yield from _tables_of_threads(source.right)
        return
    table = source.element if isinstance(source, Alias) else source
    if isinstance(table, Table) and table.name in PER_THREAD:
        yield source
