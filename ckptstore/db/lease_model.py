"""The table of who may write to a thread, and of who waits for it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped

from ckptstore.db.model_base import Base
from ckptstore.db.read_only import read_only
from ckptstore.db.tables import LEASE


@read_only(write="async with saver.ahold(thread_id)", delete="async with saver.ahold(thread_id, take_over=True)")
class Lease(Base):
    """One request for a thread: the one that holds it, or one that waits. Not copied to another database. All times are the database's."""

    __table__ = LEASE

    thread_id: Mapped[str]
    #: 0 holds the thread; the others wait, in ascending order.
    place: Mapped[int]
    #: Random, of this request alone: a write of its holder is stored only while a row of the thread has it.
    fence: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int]
    #: What the holder calls itself; empty if it did not say.
    label: Mapped[str]
    #: Since when it holds the thread, or waits.
    since: Mapped[datetime]
    #: From then on others may take its place, unless it is renewed.
    expires_at: Mapped[datetime]
    #: Microseconds from a renewal to `expires_at`.
    ttl: Mapped[int]
