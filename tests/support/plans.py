"""The plans of the statements that a saver runs, and what in them reads a table or an index from end to end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple
from unittest import mock

from psycopg.sql import Literal

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.id_times import OFF_TIME
from ckptstore.db.sharding import for_each_thread
from ckptstore.db.statement import CompiledStatement

# Walks in the order of the listing, which end with the page.
ORDERED = ("ckpt_checkpoint_newest", "ckpt_thread_by_activity", "ckpt_thread_pkey")


class Explained(NamedTuple):
    """A statement, and the lines of its plan."""

    statement: str
    plan: list[str]


def is_prepared(db: Db) -> bool:
    return "$1" in db.statements[sql.checkpoints.newest,].text


def explained() -> AbstractContextManager[list[Explained]]:
    """All statements that are run, with the plans for their parameters."""
    return _plans(_plan)


@contextmanager
def _plans(plan_of: Callable[[Db, CompiledStatement, Any], list[str]]) -> Iterator[list[Explained]]:
    plans: list[Explained] = []
    run = Db.run

    def explain(db: Db, build: Any, parameters: Any = None, *args: Any) -> Any:
        statement = db.statements[build, *args]
        plans.append(Explained(statement.text, plan_of(db, statement, parameters)))
        return run(db, build, parameters, *args)

    with mock.patch.object(Db, "run", explain):
        yield plans


def _plan(db: Db, statement: CompiledStatement, parameters: Any) -> list[str]:
    if not db.abilities.database.one_snapshot:
        # Of one of the shards, whose tables have its number.
        return [
            re.sub(r"(ckpt_[a-z_]+)_\d+\b", r"\1", str(line)) for (line,) in db.execute(f"EXPLAIN {with_values(statement, parameters)}")
        ]
    how = "EXPLAIN QUERY PLAN" if db.on_sqlite else "EXPLAIN"
    return [str(row[-1]) for row in db.execute(f"{how} {statement.text}", statement.arguments(parameters or {}))]


def with_values(statement: CompiledStatement, parameters: Any) -> str:
    """A statement with its values in its text: Citus explains none that has parameters."""
    given = parameters or {}
    values = statement.arguments(next(for_each_thread(given)) if statement.each_thread else given)
    by_name = values if isinstance(values, dict) else {str(number): value for number, value in enumerate(values, 1)}
    return re.sub(r"\$(\d+)|%\((\w+)\)s", lambda found: Literal(by_name[found[1] or found[2]]).as_string(), statement.text)


def whole_tables(plans: list[Explained]) -> list[tuple[str, str]]:
    """What is read from end to end, and by which statement; a walk in the order of an index ends with the page."""
    found = []
    for statement, plan in plans:
        walks = [line for line in plan if re.search(r"SCAN ckpt_|Seq Scan on ckpt_", line) and not any(name in line for name in ORDERED)]
        # SQLite's way to say that it walks along the primary key.
        walks = [line for line in walks if line != "SCAN ckpt_thread" or any("ORDER BY" in other for other in plan)]
        found += [(line, statement) for line in walks]
    return found


# What has to be known of a row before an index is of use.
FIRST_COLUMNS = {
    "ckpt_checkpoint_pkey": "thread_id",
    "ckpt_checkpoint_by_time": "created_at",
    "ckpt_checkpoint_off_time": "created_at",
    "ckpt_tag_pkey": "key",
    "ckpt_channel_pkey": "thread_id",
    "ckpt_write_pkey": "thread_id",
}


def kept_plans() -> AbstractContextManager[list[Explained]]:
    """All statements that are run, with the plan that serves whatever their parameters are."""
    return _plans(
        lambda db, statement, parameters: generic_plan(db, statement.text) if is_prepared(db) else _plan(db, statement, parameters)
    )


def generic_plan(db: Db, statement: str) -> list[str]:
    """What PostgreSQL does with a prepared statement before it looks at parameters."""
    arguments = max(map(int, re.findall(r"\$(\d+)", statement)), default=0)
    nulls = f"({', '.join(['NULL'] * arguments)})" if arguments else ""
    db.execute(f"PREPARE explained AS {statement}")
    db.execute("SET plan_cache_mode = force_generic_plan")
    try:
        return [str(row[-1]) for row in db.execute(f"EXPLAIN EXECUTE explained{nulls}")]
    finally:
        db.execute("RESET plan_cache_mode")
        db.execute("DEALLOCATE explained")


def full_reads(statement: str, plan: list[str]) -> list[str]:
    """The lines of a plan that read a table, or an index, from end to end, or a period where only what is off time is asked for."""
    if any(condition in statement for condition in OFF_TIME.values()) and (lines := [line for line in plan if "_by_time" in line]):
        return lines
    return reads_in_postgresql(plan) if any("(cost=" in line for line in plan) else _in_sqlite(statement, plan)


def _in_sqlite(statement: str, plan: list[str]) -> list[str]:
    aliases = {alias or table for table, alias in re.findall(r"\b(ckpt_\w+)(?: AS (\w+))?", statement)}
    sorts = any("ORDER BY" in line for line in plan)
    found = []
    for line in plan:
        scanned = re.match(r"SCAN (\w+)", line)
        in_order = any(index in line for index in ORDERED) or line == "SCAN ckpt_thread"
        if "ANY(" in line or (scanned and scanned[1] in aliases and (sorts or not in_order)):
            found.append(line)
    return found


def reads_in_postgresql(plan: list[str]) -> list[str]:
    """The lines of a plan of PostgreSQL's that read a table or an index from end to end."""
    found = []
    for number, line in enumerate(plan):
        index = re.search(r"Index (?:Only )?Scan (?:Backward )?(?:using|on) (\w+)", line)
        if "Seq Scan on ckpt_" in line:
            found.append(line)
        elif index and index[1] in ORDERED:
            found += [] if any("Limit" in above for above in plan[:number]) else [line]
        elif index and index[1] in FIRST_COLUMNS:
            condition = next((below for below in plan[number + 1 : number + 3] if "Index Cond:" in below), "")
            found += [] if re.search(rf"\b{FIRST_COLUMNS[index[1]]}\b", condition) else [f"{line} {condition}"]
    return found
