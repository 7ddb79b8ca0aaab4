"""LangGraph checkpoints on SQLAlchemy: SQLite to begin with, PostgreSQL and S3 when agents go to production."""

from datetime import timedelta

from ckptstore.blobs.settings import BlobSettings
from ckptstore.db.settings import DatabaseSettings
from ckptstore.handles import BlobRef
from ckptstore.langgraph.options import SaverOptions
from ckptstore.langgraph.saver import SQLAlchemySaver
from ckptstore.langgraph.size_limited import SizeLimitedCheckpointer
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.records import PruneReport, ThreadInfo
from ckptstore.tags.keys import TagKeys
from ckptstore.values.size_limits import SizeLimits

__all__ = [
    "BlobRef",
    "BlobSettings",
    "DatabaseSettings",
    "PruneReport",
    "RetentionPolicy",
    "SQLAlchemySaver",
    "SaverOptions",
    "SizeLimitedCheckpointer",
    "SizeLimits",
    "TagKeys",
    "ThreadInfo",
    "prune_old_checkpoints",
]


async def prune_old_checkpoints(saver: SQLAlchemySaver, days: float = 30) -> int:
    """Delete everything older than `days` days, of all threads. Returns how many checkpoints went.

    ObjectRegistry that nothing refers to any more go with the runs that come after the collector's period of grace.
    """
    report = await saver.aprune_older_than(timedelta(days=days))
    await saver.acollect()
    return report.checkpoints
