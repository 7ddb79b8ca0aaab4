"""What a transfer is asked for, and what it calls while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ckptstore.transfer.parcel import Choice
from ckptstore.transfer.report import TransferReport

#: What to do with a thread that is at the target and did not come from an earlier run, or was changed there since: leave it; bring what
#: it lacks if all that it has is at the source, too; or refuse to begin.
OnConflict = Literal["skip", "continue", "refuse"]
#: What becomes of objects: `keep` them where they are, or `copy` them to the target's own location.
BlobMode = Literal["keep", "copy"]
#: How what was stored is checked: not at all; every row, read back; and a sample through both savers.
Verify = Literal["none", "digests", "objects"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOptions:
    """What a transfer brings, and how."""

    choice: Choice = field(default_factory=Choice)
    on_conflict: OnConflict = "skip"
    #: Whether what was deleted at the source since an earlier run is deleted at the target.
    mirror: bool = False
    verify: Verify = "digests"


def ignore_progress(_report: TransferReport, _done: int) -> None:
    """Show nothing."""


def never_stop() -> bool:
    """Run to the end."""
    return False


class TransferCallbacks(NamedTuple):
    """What a transfer calls while it runs, on its own loop."""

    #: Called with the report so far, and the checkpoints of the source's threads that are done.
    progress: Callable[[TransferReport, int], None] = ignore_progress
    #: Called before each thread; if it returns True, the run ends, and the next one continues.
    should_stop: Callable[[], bool] = never_stop
