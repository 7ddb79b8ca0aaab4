"""Ids of checkpoints as the tag index has them: texts on SQLite, on PostgreSQL two 64-bit numbers in the order of the texts.

PostgreSQL stores a number in 8 bytes and a UUID's text in 37, and fills the pages of an index far better if its entries have at most 16
bytes (`_bt_afternewitemoff` in its source). A text that is no UUID gets numbers between those of the UUIDs before and after it, which
other such texts may have too: the row of the tags' owner has the text itself (`TagOwner.checkpoint_id`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Boolean, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_UUID = "'^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'"
# As much of a text as may begin a UUID.
_BEGINNING = "'^(?:H{8}-H{4}-H{4}-H{4}-H{0,12}|H{8}-H{4}-H{4}-H{0,4}|H{8}-H{4}-H{0,4}|H{8}-H{0,4}|H{0,8})'".replace("H", "[0-9a-f]")
_BEFORE_DASH = "length(s.beginning) IN (8, 13, 18, 23)"
# The digits of that beginning, and the least or greatest that may follow where the text itself goes on with something else.
_DIGITS_OF_OTHERS = f"""(SELECT rpad(
    replace(s.beginning, '-', '') || CASE WHEN NOT {_BEFORE_DASH} AND s.next > '9' AND s.next < 'a' THEN 'a' ELSE '' END, 32,
    CASE WHEN s.next > CASE WHEN {_BEFORE_DASH} THEN '-' ELSE 'f' END THEN 'f' ELSE '0' END
) FROM (
    SELECT r.beginning, substr(r.id, length(r.beginning) + 1, 1) COLLATE "C" AS next
    FROM (SELECT q.id, substring(q.id from {_BEGINNING}) AS beginning FROM (SELECT CAST(ID AS text) AS id) AS q) AS r
) AS s)"""
_DIGITS = f"CASE WHEN ID ~ {_UUID} THEN replace(ID, '-', '') ELSE {_DIGITS_OF_OTHERS} END"
# The following expressions are in migration 0008 and in the rows that it stores: to change them takes another migration.
#
# Numbers are signed, and the bits of a UUID are not.
_LEAST = "(-9223372036854775807 - 1)"
ID_ORDER = f"(CAST(CAST('x' || left({_DIGITS}, 16) AS bit(64)) AS bigint) # {_LEAST})"
ID_REST = f"CAST(CAST('x' || right({_DIGITS}, 16) AS bit(64)) AS bigint)"
OWN_ID = f"CASE WHEN ID ~ {_UUID} THEN '' ELSE '=' || ID END"
_TEXT = f"CAST(CAST(lpad(to_hex(ORDER # {_LEAST}), 16, '0') || lpad(to_hex(REST), 16, '0') AS uuid) AS text)"
ID_TEXT = f"CASE OWN WHEN '' THEN {_TEXT} ELSE substr(OWN, 2) END"
_FIRST_TEXT = _TEXT.replace("REST", "0")
_ABOVE = f"CASE ORDER WHEN 9223372036854775807 THEN chr(1114111) ELSE {_FIRST_TEXT.replace('ORDER', '(ORDER + 1)')} END"
_NAMES = re.compile(r"\b(ID|ORDER|REST|OWN)\b")

#: The type of `id_order`.
Order = Text().with_variant(BigInteger(), "postgresql")


class _Expression(FunctionElement[Any]):
    """An expression that the databases write differently: names in capitals stand for the arguments, in the order of `arguments`."""

    arguments: ClassVar[tuple[str, ...]] = ("ID",)
    texts: ClassVar[dict[str, str]]


@compiles(_Expression)
def _compile(expression: _Expression, compiler: SQLCompiler, **options: Any) -> str:
    arguments = dict(zip(expression.arguments, [compiler.process(each, **options) for each in expression.clauses], strict=True))
    # Of a dialect that is none of ours, as for `print(statement)`: what a reader understands.
    text = expression.texts.get(compiler.dialect.name, f"{type(expression).__name__}({', '.join(expression.arguments)})")
    return f"({filled(text, arguments)})"


def filled(text: str, arguments: Mapping[str, str]) -> str:
    """An expression with arguments in place of their names."""
    return _NAMES.sub(lambda found: arguments[found[0]], text)


class id_order(_Expression):  # noqa: N801  # named as SQLAlchemy's functions are
    """What the tag index orders an id by. Two ids may have the same; then their texts decide."""

    inherit_cache = True
    type = Order
    texts: ClassVar = {"sqlite": "ID", "postgresql": ID_ORDER}


class id_rest(_Expression):  # noqa: N801
    """The rest of an id in the tag index."""

    inherit_cache = True
    type = BigInteger()
    texts: ClassVar = {"sqlite": "0", "postgresql": ID_REST}


class own_id(_Expression):  # noqa: N801
    """What the row of a tag's owner has of an id: after a `=` all of it, if it can't be made again from the numbers; else an empty text."""

    inherit_cache = True
    type = Text()
    texts: ClassVar = {"sqlite": "''", "postgresql": OWN_ID}


class id_text(_Expression):  # noqa: N801
    """An id from its `id_order`, its `id_rest` and its `own_id`."""

    inherit_cache = True
    type = Text()
    arguments = ("ORDER", "REST", "OWN")
    texts: ClassVar = {"sqlite": "ORDER", "postgresql": ID_TEXT}


class first_id(_Expression):  # noqa: N801
    """The least UUID with an `id_order`; on SQLite the id itself."""

    inherit_cache = True
    type = Text()
    arguments = ("ORDER",)
    texts: ClassVar = {"sqlite": "ORDER", "postgresql": _FIRST_TEXT}


class id_above(_Expression):  # noqa: N801
    """A text that follows every id with an `id_order`, and the least one that does so."""

    inherit_cache = True
    type = Text()
    arguments = ("ORDER",)
    # No id is between the two: ids have no NUL characters.
    texts: ClassVar = {"sqlite": "ORDER || char(1)", "postgresql": _ABOVE}


class is_below(_Expression):  # noqa: N801
    """Whether ids with an `id_order` are below another id; on PostgreSQL also true for all that have the `id_order` of that one."""

    inherit_cache = True
    type = Boolean()
    arguments = ("ORDER", "ID")
    texts: ClassVar = {"sqlite": "ORDER < ID", "postgresql": f"ORDER <= {ID_ORDER}"}
