"""A `Db` on SQLite in memory, with empty tables, for unit tests of what reads and writes rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import StaticPool, create_engine

from ckptstore.db.connection import Db
from ckptstore.db.models import Base
from ckptstore.db.statement import Statements


@contextmanager
def memory_db() -> Iterator[Db]:
    engine = create_engine("sqlite://", poolclass=StaticPool, isolation_level="AUTOCOMMIT")
    try:
        Base.metadata.create_all(engine)
        with engine.connect() as connection:
            yield Db(connection, Statements(engine.dialect, None))
    finally:
        engine.dispose()
