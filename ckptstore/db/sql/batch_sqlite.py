"""A whole batch as one statement on SQLite: the rows of all tables are inserted into one view, whose triggers insert each into its table.

After every statement the writing worker thread waits for the interpreter's lock, which the callers hold most of the time: a dozen
statements took three times as long as SQLite needed to run them. And one statement is a transaction by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from json import JSONEncoder
from typing import Any

from sqlalchemy import BigInteger, ClauseElement, ColumnElement, Insert, Table, Update, column, literal_column, select, table
from sqlalchemy.dialects import sqlite

from ckptstore.db.sql.batch_parts import BATCH_NEEDS, BATCH_ROWS, is_missing
from ckptstore.db.sql.insert import cells, resolve_conflict, touch_thread
from ckptstore.db.sql.lookups import OrderedJoin
from ckptstore.db.sql.parameters import json_rows
from ckptstore.db.sql.tables import CHECKPOINT, POSTING, SEGMENT, TAG_KEY, TAG_THREAD, THREAD, Row

_NAME = "ckpt_batch"

# The parts that are rows of a table, and the rule for a row whose key exists. A checkpoint that exists makes the batch fail.
_ROWS: Mapping[str, tuple[Table, str]] = {
    **{part: of for part, of in BATCH_ROWS.items() if part != "tags"},
    "checkpoints": (CHECKPOINT, "fail"),
    "segments": (SEGMENT, "replace_object"),
    "threads": (THREAD, "add_counts"),
}
# The parts that are sent as one JSON array: their rows are many, small, and all text.
_LISTS = {*BATCH_NEEDS, "tags"}
_CELLS = [f"c{number}" for number in range(max(len(each.c) for each, _ in _ROWS.values()))]
_COLUMNS = ("part", *_CELLS)
#: A row that no trigger takes. Not of None: the driver looks up an adapter for every value that is neither a number nor a text.
EMPTY: Row = (0,) * len(_COLUMNS)

# Created once: `json.dumps` would create an encoder for each call.
_to_json = JSONEncoder(separators=(",", ":")).encode

# A cell of a row in the body of a trigger.
_CELL = re.compile(r"\bNEW\.c(\d+)\b")
_FIRST_CELL: ColumnElement[str] = literal_column("NEW.c0")


@cache
def batch_view() -> str:
    """Create the temporary view: a connection runs this once, or again after a failure."""
    cells = ", ".join(f"NULL AS {name}" for name in _COLUMNS)
    return f"CREATE TEMP VIEW IF NOT EXISTS {_NAME} AS SELECT {cells}"


@cache
def batch_trigger(part: str) -> str:
    """Create the view's trigger for a part of batches: a connection runs this before its first batch with such a part."""
    texts = "; ".join(_body_texts(part))
    begin = f"CREATE TEMP TRIGGER IF NOT EXISTS {_NAME}_{part} INSTEAD OF INSERT ON {_NAME} WHEN NEW.part = '{part}'"
    return f"{begin} BEGIN {texts}; END"


@cache
def _body_texts(part: str) -> tuple[str, ...]:
    return tuple(str(each.compile(dialect=sqlite.dialect())) for each in _trigger_body(part))


@cache
def row_statements(part: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """What the trigger for a part does with a row, as statements by themselves: each with the places in the row of its parameters.

    Not for the parts of `BATCH_NEEDS`: only a trigger can refuse a batch.
    """
    # A row begins with its part. Python before 3.12.4 warns of parameters with numbers.
    return tuple((_CELL.sub("?", text), tuple(1 + int(cell) for cell in _CELL.findall(text))) for text in _body_texts(part))


def _trigger_body(part: str) -> list[ClauseElement]:
    if part in BATCH_NEEDS:
        return [_refuse_if_missing(part)]
    if part == "tags":
        return _insert_tags()
    insert = _insert_row(*_ROWS[part])
    return [insert, _touch_thread()] if part == "threads" else [insert]


def _insert_row(into: Table, conflict: str) -> Insert:
    cells: dict[str, ColumnElement[Any]] = {each.name: literal_column(f"NEW.{cell}") for each, cell in zip(into.c, _CELLS, strict=False)}
    insert = sqlite.insert(into).values(cells).inline()
    return insert if conflict == "fail" else resolve_conflict(insert, into, conflict)


def _touch_thread() -> Update:
    cell = dict(zip(THREAD.c.keys(), _CELLS, strict=False))
    return touch_thread(THREAD, literal_column(f"NEW.{cell['thread_id']}"), literal_column(f"NEW.{cell['updated_at']}", BigInteger))


def _insert_tags() -> list[ClauseElement]:
    rows = json_rows(_FIRST_CELL, TAG_KEY)
    # Without a WHERE, SQLite parses the ON of ON CONFLICT as that of a join.
    threads = select(rows.c.thread_id).distinct().where(literal_column("true"))
    number = sqlite.insert(TAG_THREAD).from_select(["thread_id"], threads).on_conflict_do_nothing(index_elements=["thread_id"])
    cells = [TAG_THREAD.c.number if each.name == "thread_no" else rows.c[each.name] for each in POSTING.c]
    numbered = OrderedJoin(rows, TAG_THREAD, TAG_THREAD.c.thread_id == rows.c.thread_id)
    found = select(*cells).select_from(numbered).where(literal_column("true"))
    insert = sqlite.insert(POSTING).from_select([each.name for each in POSTING.c], found)
    return [number, resolve_conflict(insert, POSTING, "keep")]


def _refuse_if_missing(need: str) -> ClauseElement:
    rows = json_rows(_FIRST_CELL, BATCH_NEEDS[need][1])
    return select(literal_column(f"RAISE(ABORT, '{_NAME}: {need} rows are missing')")).where(
        select(literal_column("1")).select_from(rows).where(is_missing("sqlite", need, rows)).exists()
    )


def view_rows(parts: Mapping[str, Sequence[Row]]) -> list[Row]:
    """The rows of the view for a batch, in the order of its parts, which have the columns of their tables."""
    rows: list[Row] = []
    for part, some in parts.items():
        sent: Sequence[Row] = [(_to_json(some),)] if part in _LISTS else some
        padding = EMPTY[len(sent[0]) + 1 :]
        rows += [(part, *row, *padding) for row in sent]
    return rows


def insert_batch(_database: str, count: int) -> Insert:
    """Insert `count` rows into the view in one statement."""
    return sqlite.insert(table(_NAME, *map(column, _COLUMNS))).from_select(list(_COLUMNS), cells(count, len(_COLUMNS)))
