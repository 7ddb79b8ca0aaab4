"""The table of who may write to a thread, and of who waits for it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from ckptstore.db.model_base import CLUSTERED, Base, Key
from ckptstore.db.read_only import read_only
from ckptstore.db.times import UtcMicroseconds

_HOLD = "async with saver.ahold(thread_id)"


@read_only(write=_HOLD, delete=_HOLD)
class Lease(Base):
    """One request for a thread: the one that holds it, or one that waits. Not copied to another database. All times are the database's."""

    __tablename__ = "ckpt_lease"

    thread_id: Mapped[str] = mapped_column(Key, primary_key=True)
    #: 0 holds the thread; the others wait, in ascending order.
    place: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    #: Random, of this request alone: a write of its holder is stored only while a row of the thread has it.
    fence: Mapped[str] = mapped_column(Key)
    host: Mapped[str] = mapped_column(Text)
    pid: Mapped[int] = mapped_column(Integer)
    #: What the holder calls itself; empty if it did not say.
    label: Mapped[str] = mapped_column(Text)
    #: Since when it holds the thread, or waits.
    since: Mapped[datetime] = mapped_column(UtcMicroseconds)
    #: From then on others may take its place, unless it is renewed.
    expires_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    #: Microseconds from a renewal to `expires_at`.
    ttl: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (CLUSTERED,)
