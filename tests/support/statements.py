"""What a statement of `ckptstore.db.sql` comes to on each kind of database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler

KINDS = ("sqlite", "postgresql")

#: The tables that name keys and values of tags by numbers.
OF_VALUES: Mapping[str, set[str]] = {"sqlite": set(), "postgresql": {"ckpt_tag_value"}}


class Compiled(NamedTuple):
    """A statement's text on one line, the parameters that its caller has to send, and the tables that it names."""

    text: str
    parameters: set[str]
    tables: set[str]


def compiled(kind: str, statement: ClauseElement) -> Compiled:
    """Compile a statement as the saver does."""
    dialect: Dialect = sqlite.dialect() if kind == "sqlite" else postgresql.dialect()  # type: ignore[no-untyped-call]
    made = statement.compile(dialect=dialect)
    assert isinstance(made, SQLCompiler)
    # Values that are part of the statement itself are its functions' own, such as an encoding's name.
    values: Mapping[str, Any] = made.params
    # SQLite quotes this name, PostgreSQL does not.
    text = " ".join(str(made).split()).replace('"key"', "key")
    return Compiled(text, {name for name, value in values.items() if value is None}, set(re.findall(r"\bckpt_[a-z_]+\b", text)))
