"""The end of a page among checkpoints that have one id, in several threads (SQLite).

SQLite's index of tags has numbers of threads, so it is in the order of the checkpoints' ids, and not of the threads' ids where these are
equal. To sort each page by both would double what finding it costs, for what only copies of threads have.
"""

from __future__ import annotations

from collections.abc import Sequence

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.reads.plans import PagePlan
from ckptstore.records import CheckpointKey


def quick_plan(db: Db, plan: PagePlan) -> PagePlan:
    """A plan for the same page, unless `ends_in_tie`; or the plan itself."""
    if not db.on_sqlite or plan.shape.source != "tags":
        return plan
    return plan._replace(shape=plan.shape._replace(ends_anywhere=True))


def ends_in_tie(db: Db, plan: PagePlan, found: Sequence[CheckpointKey]) -> bool:
    """Whether the page that a plan's `quick_plan` found, a full one, may have other checkpoints than those that it has to have."""
    last = found[-1].checkpoint_id
    tied = sum(key.checkpoint_id == last for key in found)
    parameters = {**plan.parameters, "checkpoint_id": last, "bound": tied + 1}
    return bool(db.run(sql.postings.count_with_id, parameters, plan.shape.streams).scalar_one() > tied)
