"""Whether a store can be used now, for a readiness probe: within a bound, and without raising."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import Any

from ckptstore.db import schema, sql
from ckptstore.db.connection import Db
from ckptstore.errors import CkptStoreError, require_number
from ckptstore.monitoring.records import HealthCheck, HealthReport
from ckptstore.runtime.future import Future
from ckptstore.runtime.steps import Steps, drive
from ckptstore.runtime.worker_threads import run_in_thread
from ckptstore.store.base import StoreBase
from ckptstore.values.digests import new_object_key

# A write that was stored so long ago shows that writes can be.
_LATELY_SECONDS = 10.0
_SETTING = "health"

Check = Callable[[StoreBase], Steps[str]]


class _Tried(Exception):
    """Rolls a transaction back that would have been committed."""


def check_health(store: StoreBase, within_seconds: float) -> Steps[HealthReport]:
    """Run all checks at the same time. One that takes longer than the bound fails, and is left behind."""
    require_number("within_seconds", within_seconds, 0)
    started = perf_counter()
    running = [
        run_in_thread(partial(_run, name, check, store, started + within_seconds), "ckptstore-health") for name, check in _CHECKS.items()
    ]
    checks: tuple[HealthCheck, ...] = ()
    for future in running:
        checks += ((yield future),)
    return HealthReport(ok=all(check.ok for check in checks), checks=checks, seconds=perf_counter() - started)


def _run(name: str, check: Check, store: StoreBase, until: float) -> HealthCheck:
    started = perf_counter()

    def wait(future: Future[Any]) -> Any:
        return future.result(timeout=max(0.0, until - perf_counter()))

    try:
        ok, message = True, drive(check(store), wait)
    except TimeoutError:
        ok, message = False, f"no answer within {perf_counter() - started:.1f} s"
    except CkptStoreError as exc:
        ok, message = False, str(exc)
    except Exception as exc:
        # An error of a driver or of the blob backend that has no translation. Its text may have anything in it.
        ok, message = False, f"failed with {type(exc).__name__}"
    return HealthCheck(name=name, ok=ok, message=message, seconds=perf_counter() - started)


def _schema(store: StoreBase) -> Steps[str]:
    yield from store.read(schema.require_head)
    return f"revision {schema.HEAD}, which this release needs"


def _write(store: StoreBase) -> Steps[str]:
    ago = store.idle_seconds
    if ago < _LATELY_SECONDS:
        return f"a write was stored {ago:.1f} s ago"
    yield from store.run_in_queue(_try_to_write)
    return "a write was tried, and rolled back"


def _try_to_write(db: Db) -> None:
    with suppress(_Tried), db.transaction():
        db.run(sql.settings_table.set_setting, {"name": _SETTING, "value": "{}"}, "replace")
        raise _Tried


def _blobs(store: StoreBase) -> Steps[str]:
    objects = store.objects
    if not objects.has_backend:
        return "large values are kept in the database"
    # It asks for the size of an object that does not exist: what counts is that the backend answers.
    yield objects.run(objects.backend.size(new_object_key("0" * 64)))
    return f"{objects.backend.url} answers"


_CHECKS: dict[str, Check] = {"schema": _schema, "write": _write, "blobs": _blobs}
