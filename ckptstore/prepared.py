"""Statements compiled once: the text and the order of its parameters, kept for one database and schema.

A SQLAlchemy statement costs more to look up in the compiled cache than SQLite takes to run it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import ClauseElement, Connection, Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from ckptstore.execution import Rows, execute

_VALUES = " VALUES "


class Prepared:
    """One statement as the driver takes it."""

    def __init__(self, statement: ClauseElement, dialect: Dialect, schema: str | None) -> None:
        options: dict[str, Any] = {"schema_translate_map": {None: schema}, "render_schema_translate": True} if schema else {}
        compiled = statement.compile(dialect=dialect, **options)
        assert isinstance(compiled, SQLCompiler)
        self.text = str(compiled)
        self._positions = compiled.positiontup
        #: By number of rows. To compile each would take longer than a thousand inserts.
        self._repeated: dict[int, str] = {}
        self._defaults = {name: value for name, value in compiled.params.items() if value is not None}

    def run(self, connection: Connection, parameters: Mapping[str, Any] | None = None) -> Rows:
        """Execute with named parameters."""
        named = {**self._defaults, **(parameters or {})}
        values = named if self._positions is None else tuple(named[name] for name in self._positions)
        return execute(connection, self.text, values)

    def run_rows(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> Rows:
        """Insert several rows at once, with a statement for one row of positional parameters."""
        count = len(rows)
        text = self._repeated.get(count)
        if text is None:
            text = self._repeated[count] = _repeated(self.text, count)
        return execute(connection, text, tuple(chain.from_iterable(rows)))


def _repeated(insert: str, count: int) -> str:
    """The text of an insert of so many rows, from that of an insert of one."""
    start = insert.index(_VALUES) + len(_VALUES)
    end = insert.index(")", start) + 1
    return f"{insert[:start]}{', '.join([insert[start:end]] * count)}{insert[end:]}"


class StatementCache:
    """Every statement that one store uses, by the function that builds it and its arguments."""

    def __init__(self, dialect: Dialect, schema: str | None) -> None:
        self.dialect = dialect
        self._schema = schema
        self._prepared: dict[tuple[Any, ...], Prepared] = {}

    @property
    def on_sqlite(self) -> bool:
        """Whether the statements are for SQLite."""
        return self.dialect.name == "sqlite"

    def __call__(self, build: Callable[..., ClauseElement], *args: Any) -> Prepared:
        """The compiled form of `build(dialect name, *args)`."""
        key = (build, *args)
        prepared = self._prepared.get(key)
        if prepared is None:
            prepared = self._prepared[key] = Prepared(build(self.dialect.name, *args), self.dialect, self._schema)
        return prepared
