"""Every statement that the package can build for PostgreSQL, by its function and that function's arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from itertools import product
from types import ModuleType
from typing import Any, NamedTuple

from sqlalchemy import ClauseElement

from ckptstore.db import sql
from ckptstore.db.sql.batch_parts import BATCH_NEEDS, BATCH_ROWS
from ckptstore.db.sql.copy import COPIED
from ckptstore.db.sql.pages import Shape
from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, LOAD, OBJECT, SEGMENT, THREAD, WRITE
from ckptstore.db.sql.transfer import THREAD_TABLES
from ckptstore.langgraph.format import LANGGRAPH

_PER_THREAD = (THREAD, CHECKPOINT, CHANNEL, SEGMENT, WRITE)
_PAYLOADS = (CHECKPOINT, CHANNEL, WRITE)
_TIMES = ("created_after", "created_before")


def _given() -> list[frozenset[str]]:
    """Restrictions of a page, as listings have them: each place, and each other one within a thread and without."""
    places = (("thread_id", "checkpoint_ns", "checkpoint_id"), ("thread_id", "checkpoint_ns"), ("thread_id",), ("checkpoint_ns",), ())
    others = (("before",), ("after",), ("floor", "before", "after"), _TIMES)
    within = [(*place, *other) for place, other in product((("thread_id",), ()), others)]
    return [frozenset(names) for names in (*places, *within)]


def _page_shapes() -> list[Shape]:
    sources = (("checkpoints", 1), ("tags", 1), ("tags", 3), ("list", 1), ("span", 1), ("span and below", 1), ("time", 1))
    restricted = [Shape(source, streams, given) for (source, streams), given in product(sources, _given())]
    probes = (((False, True), 0), ((), 2))
    places: tuple[frozenset[str], ...] = (frozenset(), frozenset({"thread_id"}))
    probed = [Shape(*source, given, *probe) for source, given, probe in product(sources, places, probes)]
    bounds = frozenset({*_TIMES, "floor", "before"})
    within = [bounds | more for more in map(frozenset[str], ((), ("thread_id",), ("off_time_before", "after")))]
    off_time = [Shape(source, streams, given, off_time=True) for (source, streams), given in product(sources[:3], within)]
    # By time only where times are given.
    return [shape for shape in (*restricted, *probed, *off_time) if shape.source != "time" or shape.given & {*_TIMES}]


def _thread_shapes() -> list[Shape]:
    sources = ("checkpoints", "list", "span", "span and below", "threads")
    given: tuple[frozenset[str], ...] = (
        frozenset(),
        frozenset({"after"}),
        frozenset({"part", "active_since", "active_before", "least_size"}),
    )
    return [Shape(source, 1, some, *probe) for source, some, probe in product(sources, given, (((), 0), ((False, True), 1)))]


_EACH_TABLE = [(table,) for table in COPIED]
_SHAPES = [(shape,) for shape in _page_shapes()]
_WHOLE = (
    sql.checkpoints.newest_whole,
    sql.checkpoints.newest_without_segments,
    sql.checkpoints.exact_whole,
    sql.checkpoints.exact_without_segments,
    sql.checkpoints.named_whole,
)

#: The arguments of those functions that take some, besides the dialect's name.
ARGUMENTS: dict[Callable[..., Any], list[tuple[Any, ...]]] = {
    sql.batch_parts.missing_needs: [(need,) for need in BATCH_NEEDS],
    **{build: [(LANGGRAPH,)] for build in _WHOLE},
    sql.copy.key_sizes: _EACH_TABLE,
    sql.copy.copy_rows: _EACH_TABLE,
    sql.copy.copied_rows: _EACH_TABLE,
    sql.delete.delete_thread_rows: [(table,) for table in _PER_THREAD],
    sql.delete.count_thread_rows: _EACH_TABLE,
    sql.delete.refs_in_thread: [(CHECKPOINT,), (WRITE,)],
    sql.insert.insert_values: [
        *((2, table, conflict) for table, conflict in BATCH_ROWS.values()),
        *((2, table, "replace") for table in _PAYLOADS),
        *((2, table, "keep") for table in (THREAD, CHANNEL, OBJECT, LOAD)),
        (2, SEGMENT, "replace_object"),
        (2, THREAD, "add_up"),
        (2, THREAD, "add_counts"),
    ],
    sql.objects.objects_in_state: [("marked",), ("deleting",)],
    sql.outline.page_of_checkpoints: [(Shape(given=frozenset({"thread_id", *some})),) for some in ((), ("checkpoint_ns",), ("after",))],
    sql.outline.checkpoints_from: [(True,), (False,)],
    sql.pages.page_whole: [(shape, LANGGRAPH) for shape in _page_shapes()],
    sql.pages.page_metadata: _SHAPES,
    sql.pages.page_keys: _SHAPES,
    sql.postings.count_of_postings: [("list",), ("span",), ("span and below",)],
    **{
        build: [(frozenset(some),) for some in (_TIMES, _TIMES[:1], _TIMES[1:])]
        for build in (sql.pages.count_of_time, sql.pages.count_off_time)
    },
    sql.reencrypt.replace_payload: [(table,) for table in _PAYLOADS],
    sql.settings_table.set_setting: [("replace",), ("keep",)],
    sql.threads.page_of_threads: [(order, shape) for order in ("updated_at", "thread_id") for shape in _thread_shapes()],
    sql.threads.metadata_of_threads: [(shape,) for shape in _thread_shapes()],
    sql.transfer.page_of_threads: [(frozenset(),), (frozenset({"since"}),)],
    **{
        build: [(table,) for table in THREAD_TABLES]
        for build in (sql.transfer.rows_of_threads, sql.transfer.marks_page, sql.transfer.rows_between, sql.transfer.delete_rows)
    },
    sql.verify.segments_after: [(True,), (False,)],
    sql.verify.rows_after: [(table,) for table in _PAYLOADS],
    sql.verify.sizes_after: _EACH_TABLE,
}

#: What builds parts of statements, or statements for one server only.
NOT_STATEMENTS: dict[str, set[str] | None] = {
    "lookups": None,
    "parameters": None,
    "batch_function": None,
    "node_function": None,
    "batch_postgres": None,
    "batch_sqlite": None,
    "batch_parts": {"is_missing"},
    "objects": {"is_referred_to"},
    "checkpoints": {"whole"},
    "insert": {"insert_rows", "insert_arrays", "insert_into"},
    "pages": {"page", "beginning_of_whole", "rest_of_whole"},
    # Plain PostgreSQL's alone.
    "numbered_rows": None,
    "postings": {
        "collected",
        "has_posting",
        "is_posting",
        "place_after",
        "text_list",
        "count_with_id",
    },
    "stats": {"pages_of_file"},
    "verify": {"wrong_cells"},
}


class StatementShape(NamedTuple):
    """A function that builds a statement, and its arguments."""

    name: str
    build: Callable[..., ClauseElement]
    arguments: tuple[Any, ...]

    @property
    def module(self) -> str:
        """The module of `ckptstore.db.sql` that has it."""
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.name}{self.arguments or ''}"


def statement_shapes() -> Iterator[StatementShape]:
    """All of them; a function that takes arguments and is not in `ARGUMENTS` is an error."""
    for module_name in sql.__all__:
        for name, build in builders_of(getattr(sql, module_name)):
            if is_statement(module_name, name):
                takes_more = len(inspect.signature(build).parameters) > 1
                for arguments in ARGUMENTS[build] if takes_more else [()]:
                    yield StatementShape(f"{module_name}.{name}", build, arguments)


def is_statement(module_name: str, name: str) -> bool:
    """Whether a function builds a whole statement for PostgreSQL."""
    left_out: set[str] | None = NOT_STATEMENTS.get(module_name, set())
    return left_out is not None and name not in left_out


def builders_of(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public functions of a module that take a dialect's name."""
    for name, function in vars(module).items():
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_"):
            first = next(iter(inspect.signature(function).parameters), "")
            if first in ("database", "_database"):
                yield name, function
