"""Statements compiled once a process for each driver and schema: their text, and the order of their parameters.

Looking a SQLAlchemy statement up in its compiled cache costs more than SQLite takes to run it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from ckptstore.db.cell_types import cell_types
from ckptstore.db.sql.pages import Shape, beginning_of_whole, joined_whole, page_whole, rest_of_whole
from ckptstore.db.sql.routing import REFERENCED, SCATTERED, TEXTS_OF_TAGS, Route, route_of, routed
from ckptstore.records import StateFormat

#: At most twice as many are kept. Each takes about 12 KB, and a store has some 150 besides those of listings.
MAX_STATEMENTS = 256
# A process with a schema per tenant may open thousands: those opened last keep their statements.
_MAX_SHARED = 16


class CompiledStatement:
    """One statement as the driver takes it."""

    __slots__ = ("_defaults", "_positions", "cells", "each_thread", "takes_references", "text")

    def __init__(self, statement: ClauseElement, dialect: Dialect, schema: str | None, *, each_thread: bool = False) -> None:
        options: dict[str, Any] = {"schema_translate_map": {None: schema}, "render_schema_translate": True} if schema else {}
        compiled = statement.compile(dialect=dialect, **options)
        assert isinstance(compiled, SQLCompiler)
        self.text = str(compiled)
        #: Whether it is executed for the keys of each thread by themselves, see `db.sharding`.
        self.each_thread = each_thread
        #: Whether it has to be told which objects segments refer to.
        self.takes_references = REFERENCED in compiled.params
        #: The types of its results, to be compared; none on PostgreSQL, which enforces them.
        self.cells = cell_types(statement) if dialect.name == "sqlite" else ()
        self._positions = compiled.positiontup
        self._defaults = {name: value for name, value in compiled.params.items() if value is not None}

    def arguments(self, parameters: Mapping[str, Any]) -> Any:
        """Named parameters as the driver takes them: a tuple if its parameters are positional, a dict if they are named."""
        named = {**self._defaults, **parameters}
        return named if self._positions is None else tuple(map(named.__getitem__, self._positions))


class Statements(dict[tuple[Any, ...], CompiledStatement]):
    """The compiled statements of stores, by the function that builds one and that function's arguments: `statements[build, *args]`.

    A statement is `build(dialect name, *args)`, and is compiled when it is first asked for.

    Those used last are kept, and their number is bounded: what users search for decides how many forms a listing's statement has.

    Args:
        dialect: of the database.
        schema: the PostgreSQL schema of the tables, or None for the connection's own.
        sharded: whether each thread is on one of several shards, see `sql.routing`.
        numbers_tags: whether PostgreSQL keeps tags as rows of numbers, see `sql.tag_layouts`.
    """

    def __init__(self, dialect: Dialect, schema: str | None, *, sharded: bool = False, numbers_tags: bool = True) -> None:
        self.dialect_name = dialect.name
        self.driver = dialect.driver
        self.on_sqlite = dialect.name == "sqlite"
        self._dialect = dialect
        self.schema = schema
        self.sharded = sharded
        self.numbers_tags = numbers_tags and not self.on_sqlite
        #: What statements are built for.
        self._database = dialect.name if numbers_tags or self.on_sqlite else TEXTS_OF_TAGS
        #: Statements that were compiled before this dict was emptied last, and not used since.
        self._older: dict[tuple[Any, ...], CompiledStatement] = {}

    def __missing__(self, key: tuple[Any, ...]) -> CompiledStatement:
        """Compile a statement, unless it was used not long ago. A look-up that succeeds stays as cheap as a dict's."""
        build, *args = key
        compiled = self._older.pop(key, None) or self._compiled(build, *args)
        if len(self) >= MAX_STATEMENTS:
            self._older = dict(self)
            self.clear()
        self[key] = compiled
        return compiled

    def _compiled(self, build: Callable[..., ClauseElement], *args: Any) -> CompiledStatement:
        if build is page_whole and not self.sharded:
            return self._page_whole(*args)
        statement = build(self._database, *args)
        if not self.sharded:
            return CompiledStatement(statement, self._dialect, self.schema)
        route = route_of(statement.compile(dialect=self._dialect))
        if route is Route.SCATTERED:
            statement = build(SCATTERED, *args)
        elif route in (Route.ONE_THREAD, Route.EACH_THREAD):
            statement = routed(statement)
        return CompiledStatement(statement, self._dialect, self.schema, each_thread=route is Route.EACH_THREAD)

    def _page_whole(self, shape: Shape, state_format: StateFormat) -> CompiledStatement:
        """`page_whole`, of which only what depends on the shape is compiled: a user's first search of each kind waits for it."""
        compiled = CompiledStatement(beginning_of_whole(self._database, shape), self._dialect, self.schema)
        compiled.text = joined_whole(compiled.text, self[rest_of_whole, state_format].text)
        # As of every UNION.
        compiled.cells = ()
        return compiled

    def for_database(self, *, sharded: bool, numbers_tags: bool) -> Statements:
        """The same statements for a database that keeps each thread on one of several shards or does not, and tags as numbers or texts."""
        if (sharded, numbers_tags) == (self.sharded, self.numbers_tags):
            return self
        return statements_for(self._dialect, self.schema, sharded=sharded, numbers_tags=numbers_tags)

    def table_name(self, table: str) -> str:
        """A table's name in the text of a statement, quoted where it has to be, with its schema."""
        quote = self._dialect.identifier_preparer.quote
        return f"{quote(self.schema)}.{quote(table)}" if self.schema else quote(table)


_shared: OrderedDict[tuple[Any, ...], Statements] = OrderedDict()


def statements_for(dialect: Dialect, schema: str | None, *, sharded: bool = False, numbers_tags: bool = True) -> Statements:
    """The statements that all stores of this process share whose drivers and schemas are the same: compiling them takes milliseconds.

    Args:
        dialect: of the database.
        schema: the PostgreSQL schema of the tables, or None for the connection's own.
        sharded: whether each thread is on one of several shards.
        numbers_tags: whether PostgreSQL keeps tags as rows of numbers.
    """
    key = type(dialect), dialect.paramstyle, dialect.max_identifier_length, schema, sharded, numbers_tags
    found = _shared.get(key) or _shared.setdefault(key, Statements(dialect, schema, sharded=sharded, numbers_tags=numbers_tags))
    # Other threads may do the same: each change is one operation.
    with suppress(KeyError):
        _shared.move_to_end(key)
        while len(_shared) > _MAX_SHARED:
            _shared.popitem(last=False)
    return found
