"""A `Db` on SQLite in memory, with empty tables, for unit tests of what reads and writes rows."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from sqlalchemy import StaticPool, create_engine

from ckptstore.db.connection import Db
from ckptstore.db.migrations_folder import migrations_folder
from ckptstore.db.models import Base
from ckptstore.db.statement import Statements
from ckptstore.db.tables import TAG
from ckptstore.db.tag_tables import ON_SQLITE


@cache
def _view_of_tags() -> list[str]:
    """What makes `ckpt_tag` a view."""
    with migrations_folder() as folder:
        migration = runpy.run_path(str(folder / "versions" / "0011_tags_by_threads.py"))
    return [migration[name] for name in ("VIEW", "INSERT", "DELETE", "FORGET")]


@contextmanager
def memory_db() -> Iterator[Db]:
    engine = create_engine("sqlite://", poolclass=StaticPool, isolation_level="AUTOCOMMIT")
    try:
        Base.metadata.create_all(engine, [table for table in Base.metadata.sorted_tables if table is not TAG])
        ON_SQLITE.create_all(engine)
        with engine.connect() as connection:
            for statement in _view_of_tags():
                connection.exec_driver_sql(statement)
            yield Db(connection, Statements(engine.dialect, None))
    finally:
        engine.dispose()
