"""Finds checkpoints with two frequent tags, in time that follows how often the tags alternate rather than how frequent they are."""

from __future__ import annotations

from typing import Any, NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.reads.plans import PagePlan
from ckptstore.records import CheckpointKey

_MIN_STEPS, _MAX_STEPS = 64, 4_096
# A step of `next_meeting` takes at most as long as probing so many postings one after the other.
_POSTINGS_PER_STEP = 8
_MIN_SCAN, _MAX_SCAN = _MIN_STEPS * _POSTINGS_PER_STEP, 16_384
_GROWTH = 4


class Meetings(NamedTuple):
    """Checkpoints that a search found."""

    keys: list[CheckpointKey]
    #: Everything newer was looked at.
    last: CheckpointKey
    #: Whether there may be more after that.
    more: bool


def just_before(checkpoint_id: str) -> CheckpointKey:
    """A position in a listing before every checkpoint with this id."""
    # No id is between the two: ids have no NUL characters.
    return CheckpointKey("", "", f"{checkpoint_id}\x01")


def just_after(checkpoint_id: str) -> CheckpointKey:
    """A position in a listing after every checkpoint with this id."""
    return CheckpointKey("", "", checkpoint_id)


def find_meetings(db: Db, plan: PagePlan, after: CheckpointKey, wanted: int) -> Meetings:
    """Find up to so many checkpoints that satisfy all conditions of a plan.

    Alternates between two ways. One skips what only one of the first two tags has; it is slow where they alternate often. The other
    takes the first tag's postings one after the other, and probes the rest. Each gets more to do at a time as long as it is the better one.

    Args:
        db: where to search.
        plan: of a page whose source is a single posting, and whose first probe is for a single one too (`PagePlan.can_skip`).
        after: the position in the listing after which to begin.
        wanted: how many checkpoints.
    """
    search = _Search(db, plan, after)
    found: list[CheckpointKey] = []
    steps, postings = _MIN_STEPS, _MIN_SCAN
    while search.more:
        skipped = search.skip(steps)
        if skipped.worthwhile:
            steps = min(steps * _GROWTH, _MAX_STEPS)
            continue
        if not search.more:
            break
        new = search.scan(postings, wanted - len(found))
        found += new
        if len(found) == wanted:
            return Meetings(found, found[-1], more=True)
        # Where two tags meet, they often do so again.
        stays_near = bool(new) or not skipped.to_meeting
        postings = min(postings * _GROWTH, _MAX_SCAN) if stays_near else _MIN_SCAN
    return Meetings(found, search.after, more=False)


def has_many_near(db: Db, plan: PagePlan, wanted: int) -> bool:
    """Whether so many checkpoints that satisfy all conditions are among the newest ones, see `PagePlan.first_floor`."""
    near = plan.down_to(plan.first_floor)
    return len(db.run(sql.pages.page_keys, {**near.parameters, "page_size": wanted}, near.shape).all()) == wanted


class _Skipped(NamedTuple):
    """What `_Search.skip` did."""

    #: Whether it skipped more than a scan reads in the same time, and may continue.
    worthwhile: bool
    #: Whether both tags have the id that it reached.
    to_meeting: bool


class _Search:
    """A position that moves through a listing."""

    def __init__(self, db: Db, plan: PagePlan, after: CheckpointKey) -> None:
        self._db = db
        self._plan = plan
        self.after = after
        self._more = True

    @property
    def more(self) -> bool:
        """Whether there may be more after the position."""
        return self._more and self.after.checkpoint_id >= self._plan.end

    def skip(self, steps: int) -> _Skipped:
        """Skip what can't satisfy the conditions, in so many steps."""
        start = {"start": self.after.checkpoint_id}
        rows = self._run(sql.meetings.next_meeting, {**start, "steps": steps})
        reached, to_meeting = rows[0] if rows else (None, False)
        if reached is None:
            self._more = False
            return _Skipped(worthwhile=False, to_meeting=False)
        self.after = just_before(reached)
        if to_meeting:
            return _Skipped(worthwhile=False, to_meeting=True)
        within = self._run(sql.meetings.posting_after, {**start, "skipped": steps * _POSTINGS_PER_STEP})
        return _Skipped(worthwhile=not within or reached < within[0][0], to_meeting=False)

    def scan(self, postings: int, wanted: int) -> list[CheckpointKey]:
        """Up to so many of the checkpoints that satisfy the conditions, among the next postings."""
        ends = self._run(sql.meetings.posting_after, {"start": self.after.checkpoint_id, "skipped": postings})
        plan = self._plan.after(self.after)
        plan = plan.down_to(ends[0][0]) if ends else plan
        rows = self._db.run(sql.pages.page_keys, {**plan.parameters, "page_size": wanted}, plan.shape)
        if ends:
            self.after = just_after(ends[0][0])
        else:
            self._more = False
        return [CheckpointKey(*row) for row in rows]

    def _run(self, build: Any, parameters: dict[str, Any]) -> Any:
        return self._db.run(build, {**self._plan.parameters, **parameters}).all()
