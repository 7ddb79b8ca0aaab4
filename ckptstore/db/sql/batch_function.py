"""A whole batch by a function of PostgreSQL's, which migration 0006 creates: a call whose plan is one node, and that takes few parameters.

The function locks the rows of the batch's threads, then checks what the batch requires, then inserts. Each of its statements sees what
was committed before, so what it finds exists until it commits: every deletion of values locks the thread's row first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, LargeBinary, Select, Text, bindparam, cast, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseList

#: With the version of its parameters: a release that needs others adds another function, while other processes still use this one.
FUNCTION = "ckpt_commit_batch_1"
#: Stores a batch under leases: it locks them, or stores nothing, and calls the other one. Migration 0009 creates it.
HELD_FUNCTION = "ckpt_commit_held_1"
#: The parts of a batch, in the order of the parameters. Migration 0006 defines the elements of each part's rows.
PARTS = ("entries", "carried", "known", "checkpoints", "channels", "tags", "segments", "kept_writes", "replaced_writes")


class Call(ColumnElement[Any]):
    """A call of a function in a schema. SQLAlchemy's own functions leave names unquoted that need it, such as `MixedCase`."""

    __visit_name__ = "ckptstore_call"
    inherit_cache = False
    type = Text()

    def __init__(self, schema: str, name: str, arguments: Sequence[ColumnElement[Any]]) -> None:
        self.schema = schema
        self.name = name
        self.arguments = ClauseList(*arguments)


@compiles(Call)
def _compile_call(call: Call, compiler: SQLCompiler, **options: Any) -> str:
    return f"{compiler.preparer.quote_identifier(call.schema)}.{call.name}({compiler.process(call.arguments, **options)})"


def commit_batch(_database: str, schema: str) -> Select[Any]:
    """Store a batch; returns one text.

    It names the entries of which nothing was stored, by the positions of their first elements in `entries`, between commas: a row that
    such an entry requires is missing, or its checkpoint exists already (`writes.replace` then replaces it). Null if nothing was tried:
    the schema was renamed since the function was created, or transactions are not READ COMMITTED.

    Args:
        _database: always PostgreSQL.
        schema: the function's schema.
    """
    return select(Call(schema, FUNCTION, _arguments(schema)))


def commit_held_batch(_database: str, schema: str) -> Select[Any]:
    """Like `commit_batch`, under `leases`; also null if one of them is held no longer.

    Args:
        _database: always PostgreSQL.
        schema: the function's schema.
    """
    return select(Call(schema, HELD_FUNCTION, [_array("leases"), *_arguments(schema)]))


def _arguments(schema: str) -> list[ColumnElement[Any]]:
    scalars: list[ColumnElement[Any]] = [
        bindparam("for_schema", schema, type_=Text()),
        bindparam("wait_for_locks", type_=Text()),
        bindparam("new_generation", type_=BigInteger()),
        bindparam("data", type_=LargeBinary()),
    ]
    return [*scalars, *map(_array, PARTS)]


def _array(part: str) -> ColumnElement[Any]:
    # A text that the server reads as an array: asyncpg takes longer to send an array of texts than PostgreSQL to read it.
    return cast(bindparam(part, type_=Text()), ARRAY(Text()))


def array_literal(elements: Sequence[str]) -> str:
    """Texts, at least one, as PostgreSQL reads them as an array."""
    # PostgreSQL's texts can't hold a NUL.
    joined = "\0".join(elements).replace("\\", "\\\\").replace('"', '\\"')
    if joined.count("\0") == len(elements) - 1:
        return '{"' + joined.replace("\0", '","') + '"}'
    escaped = [element.replace("\\", "\\\\").replace('"', '\\"') for element in elements]
    return '{"' + '","'.join(escaped) + '"}'
