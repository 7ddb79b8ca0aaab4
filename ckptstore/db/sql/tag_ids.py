"""The id of a checkpoint as PostgreSQL's index of tags has it: the first half of a UUID, in eight bytes, which sorts as the id does.

Other texts have a half, too, that sorts no differently than the text does: several texts may have the same one, so whoever compares halves
compares the ids as well. A half is what bounds the part of the index that is read.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Uuid
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from ckptstore.db.tag_tables import MacAddress8

# The longest beginning of a text that is one of a UUID, and the character after it.
_BEGINNING = "substring(ID from '^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{0,4}|[0-9a-f]{8}-[0-9a-f]{0,4}|[0-9a-f]{0,8})')"
_NEXT = f'substr(ID, length({_BEGINNING}) + 1, 1) COLLATE "C"'
_DIGITS = f"replace({_BEGINNING}, '-', '')"
_DASH_FOLLOWS = f"length({_BEGINNING}) IN (8, 13)"

#: The half of the id `ID`. A text that ends, or goes on with a character that is less than those of a UUID, comes before all UUIDs with its
#: beginning; one that goes on with a greater character comes after them.
HALF = (
    "CASE WHEN ID ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}' THEN left(ID, 18) "
    f"WHEN {_NEXT} < CASE WHEN {_DASH_FOLLOWS} THEN '-' ELSE '0' END THEN rpad({_DIGITS}, 16, '0') "
    f"WHEN {_DASH_FOLLOWS} OR {_NEXT} > 'f' THEN rpad({_DIGITS}, 16, 'f') "
    f"ELSE rpad({_DIGITS} || '9', 16, 'f') END::macaddr8"
)
#: The id `ID` as a UUID, or null.
UUID = "CASE WHEN ID ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN ID::uuid END"


class Half(FunctionElement[Any]):
    """The half of an id. SQLite's index has the ids themselves, so there it is the id."""

    inherit_cache = True
    name = "half"
    type = MacAddress8()


@compiles(Half)
def _compile_half(half: Half, compiler: SQLCompiler, **options: Any) -> str:
    return f"({filled(HALF, compiler.process(half.clauses, **options))})"


@compiles(Half, "sqlite")
def _compile_id(half: Half, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(half.clauses, **options)


class UuidOf(FunctionElement[Any]):
    """An id as a UUID; null if it is none, as PostgreSQL writes UUIDs."""

    inherit_cache = True
    name = "uuid_of"
    type = Uuid(as_uuid=False)


@compiles(UuidOf)
def _compile_uuid(uuid: UuidOf, compiler: SQLCompiler, **options: Any) -> str:
    return f"({filled(UUID, compiler.process(uuid.clauses, **options))})"


def filled(expression: str, checkpoint_id: str) -> str:
    """One of the expressions, of an id that is given as SQL."""
    return re.sub(r"\bID\b", lambda _: checkpoint_id, expression)
