"""LangGraph checkpoints on SQLAlchemy: SQLite to begin with, PostgreSQL and S3 when agents go to production."""

import gc
from typing import TYPE_CHECKING, Any

# What the imports create stays. The collector would look through it, and through all that LangGraph has loaded before: a sixth of the
# time of the import, see docs/decisions/0009.
_collects = gc.isenabled()
gc.disable()
try:
    from datetime import timedelta

    from ckptstore.blobs.settings import BlobSettings
    from ckptstore.db.settings import DatabaseSettings
    from ckptstore.db.times import to_microseconds
    from ckptstore.errors import InvalidConfig, brief
    from ckptstore.handles import BlobRef
    from ckptstore.langgraph.key_ring import key_ring
    from ckptstore.langgraph.options import SaverOptions
    from ckptstore.langgraph.saver import SQLAlchemySaver
    from ckptstore.langgraph.size_limited import SizeLimitedCheckpointer
    from ckptstore.maintenance.policy import RetentionPolicy
    from ckptstore.monitoring.records import HealthReport, SaverStats
    from ckptstore.monitoring.settings import MonitoringSettings
    from ckptstore.records import ThreadInfo
    from ckptstore.runtime.steps import drive_async
    from ckptstore.tags.keys import TagKeys
    from ckptstore.values.size_limits import SizeLimits
    from ckptstore.writes.thread_lease import ThreadLease
finally:
    if _collects:
        gc.enable()

if TYPE_CHECKING:
    from ckptstore.maintenance.reports import PruneReport

__all__ = [
    "BlobRef",
    "BlobSettings",
    "DatabaseSettings",
    "HealthReport",
    "MonitoringSettings",
    "PruneReport",
    "RetentionPolicy",
    "SQLAlchemySaver",
    "SaverOptions",
    "SaverStats",
    "SizeLimitedCheckpointer",
    "SizeLimits",
    "TagKeys",
    "ThreadInfo",
    "ThreadLease",
    "key_ring",
    "prune_old_checkpoints",
]


async def prune_old_checkpoints(saver: SQLAlchemySaver, days: float = 30) -> int:
    """Delete the checkpoints older than `days` days from all threads, collect garbage, and give free pages back (SQLite).

    Objects that nothing refers to any more are deleted by a run after the grace period of garbage collection.

    Returns:
        How many checkpoints were deleted.

    Raises:
        InvalidConfig: `saver` is something else.
    """
    from ckptstore.maintenance.run import run_maintenance

    if not isinstance(saver, SQLAlchemySaver):
        raise InvalidConfig(
            f"prune_old_checkpoints takes a SQLAlchemySaver, got {brief(saver)}; of a SizeLimitedCheckpointer, give its attribute saver"
        )

    policy = RetentionPolicy(max_age=timedelta(days=days))
    report = await drive_async(run_maintenance(saver.store, policy, lambda: to_microseconds(saver.clock())))
    return report.checkpoints


def __getattr__(name: str) -> Any:
    """The report of a prune, whose module is loaded by the first prune, or here."""
    if name != "PruneReport":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ckptstore.maintenance.reports import PruneReport

    return PruneReport
