"""The import of the package leaves the garbage collector as it was, and does not run it; it loads nothing that only some users need."""

from __future__ import annotations

import subprocess
import sys

import pytest


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


#: What loads when it is used: the models, an asynchronous engine, an upgrade, a copy, an object in S3, the pages of the inspector.
NOT_LOADED = ("sqlalchemy.orm", "sqlalchemy.ext.asyncio", "greenlet", "alembic", "asyncpg", "psycopg", "fsspec", "starlette")


def test_nothing_is_collected_meanwhile_and_nothing_is_loaded_that_only_some_need() -> None:
    full = "gc.get_stats()[2]['collections']"
    program = (
        f"import gc, sys, langgraph.graph, sqlite3; gc.collect(); before = {full}; already = set(sys.modules); import ckptstore\n"
        f"print({full} - before, *sorted((sys.modules.keys() - already) & set({NOT_LOADED!r})))"
    )
    assert python(program).split() == ["0"]
