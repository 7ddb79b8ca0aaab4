"""Statements that follow two postings to the checkpoints that have both, past what only one of them has (a leapfrog join).

Source: Veldhuizen, "Leapfrog Triejoin: A Simple, Worst-Case Optimal Join Algorithm", 2014.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Text, bindparam, case, cast, false, func, literal_column, null, or_, select

from ckptstore.db.sql.postings import given_value
from ckptstore.db.sql.tables import TAG
from ckptstore.db.tag_ids import first_id, id_above, is_below


def next_meeting(_database: str) -> Select[Any]:
    """Go from one posting's newest checkpoint to the other's newest that is not newer, and so on, in at most `steps` steps.

    Parameters: `source_key`, `source_value_0` and `has_0_key`, `has_0_value` are the postings, and ids are less than `start`.

    Returns:
        One row, or none if the first posting has no checkpoint: a text just above the id that was reached, null where one of the
        postings has none any more, and whether both postings have a checkpoint with this id (perhaps in different threads).
    """
    first = _newest_of(given_value("source", "_0")).subquery("first")
    none = cast(null(), first.c.id_order.type).label("last")
    leap = select(first.c.id_order.label("reached"), none, literal_column("0", BigInteger).label("step")).cte("leap", recursive=True)
    is_first = leap.c.step % literal_column("2") == literal_column("0")
    of_other = TAG.c.value_id == case((is_first, given_value("has_0")), else_=given_value("source", "_0"))
    following = _ids().where(of_other, TAG.c.id_order <= leap.c.reached).limit(literal_column("1")).correlate(leap).scalar_subquery()
    goes_on = or_(leap.c.last.is_(null()), leap.c.reached != leap.c.last), leap.c.step < bindparam("steps", type_=BigInteger)
    next_step = select(following, leap.c.reached, leap.c.step + literal_column("1")).where(leap.c.reached.is_not(null()), *goes_on)
    steps = leap.union_all(next_step)
    meets = func.coalesce(steps.c.reached == steps.c.last, false())
    columns: list[ColumnElement[Any]] = [id_above(steps.c.reached), meets]
    return select(*columns).order_by(steps.c.step.desc()).limit(literal_column("1"))


def posting_after(_database: str) -> Select[Any]:
    """The id of the checkpoint after `skipped` others with the posting (`source_key`, `source_value_0`), all below `start`.

    No row if there are not so many. It is the least of the ids in its place in the order.
    """
    newest = _newest_of(given_value("source", "_0"), first_id(TAG.c.id_order))
    return newest.offset(bindparam("skipped", type_=BigInteger))


def _newest_of(value: ColumnElement[int], *columns: ColumnElement[Any]) -> Select[Any]:
    """The newest posting of a value below `start`."""
    older = is_below(TAG.c.id_order, bindparam("start", type_=Text()))
    return _ids(*columns).where(TAG.c.value_id == value, older).limit(literal_column("1"))


def _ids(*columns: ColumnElement[Any]) -> Select[Any]:
    return select(*(columns or [TAG.c.id_order])).order_by(TAG.c.id_order.desc())
