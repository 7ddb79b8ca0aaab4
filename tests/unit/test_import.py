"""The import of the package leaves the garbage collector as it was, and does not run it; it loads nothing that only some users need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy

import ckptstore
from ckptstore import SQLAlchemySaver
from ckptstore.db import sql

pytestmark = pytest.mark.starts_processes


def python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("before", ["enable", "disable"])
def test_the_collector_is_as_it_was_before(before: str) -> None:
    assert python(f"import gc; gc.{before}(); import ckptstore; print(gc.isenabled())").split() == [str(before == "enable")]


def test_it_is_as_it_was_after_an_import_that_failed() -> None:
    program = "import gc, sys; sys.modules['sqlalchemy'] = None\ntry: import ckptstore\nexcept ImportError: print(gc.isenabled())"
    assert python(program).split() == ["True"]


# Release 2.0 of SQLAlchemy loads greenlet by itself.
_GREENLET = () if sqlalchemy.__version__.startswith("2.0.") else ("greenlet",)
#: What loads when it is used: the models, an asynchronous engine, PostgreSQL, an upgrade, a copy, an object in S3, the pages of the
#: inspector; and of ckptstore itself what prunes, collects, verifies, copies, looks after partitions, and runs in the background.
NOT_LOADED = (
    *("sqlalchemy.orm", "sqlalchemy.ext.asyncio", "sqlalchemy.dialects.postgresql", *_GREENLET, "alembic", "asyncpg", "psycopg", "fsspec"),
    *("starlette", "ckptstore.db.models", "ckptstore.db.partitions", "ckptstore.db.distribute", "ckptstore.db.sql.prune"),
    *("ckptstore.db.sql.stats", "ckptstore.db.sql.transfer", "ckptstore.db.sql.batch_postgres", "ckptstore.blobs.backends.s3"),
    *("ckptstore.maintenance.gc", "ckptstore.maintenance.prune_run", "ckptstore.maintenance.reports", "ckptstore.maintenance.verify"),
    *("ckptstore.store.background", "ckptstore.store.erasing", "ckptstore.store.health", "ckptstore.transfer.run"),
)


def test_nothing_is_collected_meanwhile_and_nothing_is_loaded_that_only_some_need() -> None:
    full = "gc.get_stats()[2]['collections']"
    program = (
        f"import gc, sys, langgraph.graph, sqlite3; gc.collect(); before = {full}; already = set(sys.modules); import ckptstore\n"
        f"print({full} - before, *sorted((sys.modules.keys() - already) & set({NOT_LOADED!r})))"
    )
    assert python(program).split() == ["0"]


def test_a_database_that_exists_is_used_without_them_too(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    with SQLAlchemySaver.from_conn_string(path) as saver:
        saver.setup()
    program = f"""
import langgraph.graph, sqlite3, sys
already = set(sys.modules)
from ckptstore import SQLAlchemySaver
from tests.support.build import checkpoint, config, metadata
with SQLAlchemySaver.from_conn_string({str(path)!r}) as saver:
    made = checkpoint({{"text": "x" * 100}})
    where = saver.put(config("t"), made, metadata(), made["channel_versions"])
    saver.put_writes(where, [("text", "y")], "task")
    assert saver.get_tuple(where).pending_writes
print(*sorted((sys.modules.keys() - already) & set({NOT_LOADED!r})))
"""
    assert python(program).split() == []


def test_what_loads_at_its_first_use_has_its_names() -> None:
    assert python("import ckptstore; print(ckptstore.PruneReport.__module__)").split() == ["ckptstore.maintenance.reports"]
    assert python("from ckptstore.db import sql; print(*[name for name in sql.__all__ if not getattr(sql, name).__doc__])").split() == []


@pytest.mark.parametrize("module", [ckptstore, sql])
def test_a_name_that_does_not_exist_is_an_attribute_error(module: ModuleType) -> None:
    with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute 'no_such_name'"):
        _ = module.no_such_name
