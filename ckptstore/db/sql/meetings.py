"""Statements that follow two postings to the checkpoints that have both, past what only one of them has (a leapfrog join).

Source: Veldhuizen, "Leapfrog Triejoin: A Simple, Worst-Case Optimal Join Algorithm", 2014.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, Text, bindparam, case, func, literal_column, select

from ckptstore.db.sql.tables import TAG
from ckptstore.db.sql.tag_index import index_of

_START = bindparam("start", type_=TAG.c.checkpoint_id.type)


def next_meeting(database: str) -> Select[Any]:
    """Go from one posting's newest checkpoint to the other's newest that is not newer, and so on, in at most `steps` steps.

    Parameters: `source_key`, `source_value_0` and `has_0_key`, `has_0_value` are the postings, and ids are less than `start`.

    Returns:
        One row, or none if the first posting has no checkpoint: the id that was reached, null where one of the postings has none any
        more, and whether both postings have a checkpoint with this id (perhaps in different threads).
    """
    tag = index_of(database).tags
    newest = _ids(tag).where(tag.c.key == bindparam("source_key"), tag.c.value == bindparam("source_value_0"), tag.c.checkpoint_id < _START)
    first = newest.limit(literal_column("1")).subquery("first")
    # An empty text of the column's type and collation.
    nothing = func.substr(first.c.checkpoint_id, literal_column("1"), literal_column("0"))
    leap = select(first.c.checkpoint_id.label("reached"), nothing.label("last"), literal_column("0", BigInteger).label("step")).cte(
        "leap", recursive=True
    )
    is_first = leap.c.step % literal_column("2") == literal_column("0")
    of_other = [
        tag.c.key == _parameter_where(is_first, "has_0_key", "source_key"),
        tag.c.value == _parameter_where(is_first, "has_0_value", "source_value_0"),
    ]
    older = _ids(tag).where(*of_other, tag.c.checkpoint_id <= leap.c.reached)
    following = older.limit(literal_column("1")).correlate(leap).scalar_subquery()
    goes_on = leap.c.reached != leap.c.last, leap.c.step < bindparam("steps", type_=BigInteger)
    steps = leap.union_all(select(following, leap.c.reached, leap.c.step + literal_column("1")).where(*goes_on))
    return select(steps.c.reached, steps.c.reached == steps.c.last).order_by(steps.c.step.desc()).limit(literal_column("1"))


def posting_after(database: str) -> Select[Any]:
    """The id of the checkpoint after `skipped` others with the posting (`source_key`, `source_value_0`), all below `start`.

    No row if there are not so many.
    """
    tag = index_of(database).tags
    of_posting = [tag.c.key == bindparam("source_key"), tag.c.value == bindparam("source_value_0"), tag.c.checkpoint_id < _START]
    return _ids(tag).where(*of_posting).limit(literal_column("1")).offset(bindparam("skipped", type_=BigInteger))


def _ids(tag: FromClause) -> Select[Any]:
    return select(tag.c.checkpoint_id).order_by(tag.c.checkpoint_id.desc())


def _parameter_where(condition: ColumnElement[bool], one: str, other: str) -> ColumnElement[str]:
    return case((condition, bindparam(one, type_=Text())), else_=bindparam(other, type_=Text()))
