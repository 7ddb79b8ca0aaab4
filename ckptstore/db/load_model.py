"""The table of the load that savers had, minute by minute."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped

from ckptstore.db.model_base import Base
from ckptstore.db.read_only import read_only
from ckptstore.db.tables import LOAD


@read_only(
    write="MonitoringSettings(record_load=True)",
    delete="MonitoringSettings(record_load=False), which adds no more of them: savers delete each after 14 days",
)
class Load(Base):
    """What one saver did in a minute in which it did something. Rows are kept for 14 days, and not copied to another database."""

    __table__ = LOAD

    #: By the clock of the machine.
    started_at: Mapped[datetime]
    #: Host name and process id of the saver.
    process: Mapped[str]
    #: How long the period is: 60, or more where nothing was stored at its end.
    seconds: Mapped[int]
    #: Puts and tasks' writes that were stored, in how many commits, with how many bytes.
    writes: Mapped[int]
    commits: Mapped[int]
    bytes_written: Mapped[int]
    #: Null without commits.
    commit_p99_microseconds: Mapped[int | None]
    #: How long commits waited for the lock of SQLite's file, from a sample. Null where it was not measured, and on PostgreSQL.
    lock_wait_microseconds: Mapped[int | None]
    #: Operations that failed, and attempts that were repeated.
    errors: Mapped[int]
    retries: Mapped[int]
    #: At the end of the period.
    queue_depth: Mapped[int]
    connections_in_use: Mapped[int]
    connections_limit: Mapped[int]
    #: Path of the tag index -> how many filters needed it; the 100 that were needed most.
    searched: Mapped[dict[str, int]]
