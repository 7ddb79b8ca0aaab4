"""The table of the load that savers had, minute by minute."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Integer
from sqlalchemy.orm import Mapped, mapped_column

from ckptstore.db.model_base import CLUSTERED, Base, Key
from ckptstore.db.read_only import read_only
from ckptstore.db.times import UtcMicroseconds

_WRITE = "MonitoringSettings(record_load=True)"


@read_only(write=_WRITE, delete=_WRITE)
class Load(Base):
    """What one saver did in a minute in which it did something. Rows are kept for 14 days, and not copied to another database."""

    __tablename__ = "ckpt_load"

    #: By the clock of the machine.
    started_at: Mapped[datetime] = mapped_column(UtcMicroseconds, primary_key=True)
    #: Host name and process id of the saver.
    process: Mapped[str] = mapped_column(Key, primary_key=True)
    #: How long the period is: 60, or more where nothing was stored at its end.
    seconds: Mapped[int] = mapped_column(Integer)
    #: Puts and tasks' writes that were stored, in how many commits, with how many bytes.
    writes: Mapped[int] = mapped_column(BigInteger)
    commits: Mapped[int] = mapped_column(BigInteger)
    bytes_written: Mapped[int] = mapped_column(BigInteger)
    #: Null without commits.
    commit_p99_microseconds: Mapped[int | None] = mapped_column(BigInteger)
    #: How long commits waited for the lock of SQLite's file, from a sample. Null where it was not measured, and on PostgreSQL.
    lock_wait_microseconds: Mapped[int | None] = mapped_column(BigInteger)
    #: Operations that failed, and attempts that were repeated.
    errors: Mapped[int] = mapped_column(BigInteger)
    retries: Mapped[int] = mapped_column(BigInteger)
    #: At the end of the period.
    queue_depth: Mapped[int] = mapped_column(Integer)
    connections_in_use: Mapped[int] = mapped_column(Integer)
    connections_limit: Mapped[int] = mapped_column(Integer)
    #: Path of the tag index -> how many filters needed it; the 100 that were needed most.
    searched: Mapped[dict[str, int]] = mapped_column(JSON)

    __table_args__ = (CLUSTERED,)
