"""Statements that follow two postings to the checkpoints that have both, past what only one of them has (a leapfrog join).

Source: Veldhuizen, "Leapfrog Triejoin: A Simple, Worst-Case Optimal Join Algorithm", 2014.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Text, bindparam, case, func, literal_column, select

from ckptstore.db.sql.postings import place_after
from ckptstore.db.sql.tables import TAG
from ckptstore.db.sql.tag_index import TagIndex
from ckptstore.db.sql.tag_layouts import index_of

_START = bindparam("start", type_=TAG.c.checkpoint_id.type)


def next_meeting(database: str) -> Select[Any]:
    """Go from one posting's newest checkpoint to the other's newest that is not newer, and so on, in at most `steps` steps.

    Parameters: `source_key`, `source_value_0` and `has_0_key`, `has_0_value` are the postings, and ids are less than `start`.

    Returns:
        One row, or none if the first posting has no checkpoint: the id that was reached, null where one of the postings has none any
        more, and whether both postings have a checkpoint with this id (perhaps in different threads).
    """
    index = index_of(database)
    first = _ids(index).where(_is_source(index), index.has_id(index.tags, "<", _START)).limit(literal_column("1")).subquery("first")
    # An empty text of the column's type and collation.
    nothing = func.substr(first.c.id, literal_column("1"), literal_column("0"))
    leap = select(first.c.id.label("reached"), nothing.label("last"), literal_column("0", BigInteger).label("step")).cte(
        "leap", recursive=True
    )
    is_first = leap.c.step % literal_column("2") == literal_column("0")
    of_other = index.is_posting(
        index.tags,
        _parameter_where(is_first, "has_0_key", "source_key"),
        _parameter_where(is_first, "has_0_value", "source_value_0"),
    )
    older = _ids(index).where(of_other, index.has_id(index.tags, "<=", leap.c.reached))
    following = older.limit(literal_column("1")).correlate(leap).scalar_subquery()
    goes_on = leap.c.reached != leap.c.last, leap.c.step < bindparam("steps", type_=BigInteger)
    steps = leap.union_all(select(following, leap.c.reached, leap.c.step + literal_column("1")).where(*goes_on))
    return select(steps.c.reached, steps.c.reached == steps.c.last).order_by(steps.c.step.desc()).limit(literal_column("1"))


def posting_after(database: str) -> Select[Any]:
    """The id of the checkpoint after `skipped` others with the posting (`source_key`, `source_value_0`), all below `start`, or nearly so.

    No row if there are not so many.
    """
    index = index_of(database)
    place = place_after(database, _is_source(index), "start").subquery("reached").c.place
    return select(index.text_of_place(place))


def _ids(index: TagIndex) -> Select[Any]:
    return select(index.id_of(index.tags).label("id")).order_by(*index.newest_first(index.tags))


def _is_source(index: TagIndex) -> ColumnElement[bool]:
    return index.is_posting(index.tags, bindparam("source_key", type_=Text()), bindparam("source_value_0", type_=Text()))


def _parameter_where(condition: ColumnElement[bool], one: str, other: str) -> ColumnElement[str]:
    return case((condition, bindparam(one, type_=Text())), else_=bindparam(other, type_=Text()))
