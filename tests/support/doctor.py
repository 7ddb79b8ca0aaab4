"""Facts of a store that is well, for tests of what the doctor says where something is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ckptstore import SQLAlchemySaver
from ckptstore.db.connection import Db
from ckptstore.inspection.doctor.facts import Facts, LoadFacts, RetentionFacts, TableFacts, WalFacts
from ckptstore.inspection.doctor.findings import Finding, Severity
from ckptstore.inspection.doctor.thresholds import MB

LOAD: dict[str, Any] = {
    "minutes": 10_000,
    "days": 13.5,
    "processes": 2,
    "peak_writes_per_second": 20.0,
    "commit_p99_seconds": 0.004,
    "lock_wait_share": 0.001,
    "queue_depth": 2,
    "writes": 1_000_000,
    "errors": 0,
    "pool_full_share": 0.0,
}


def load(**changes: Any) -> LoadFacts:
    return LoadFacts(**{**LOAD, **changes})


def table(**changes: Any) -> TableFacts:
    well = {"name": "ckpt_checkpoint", "bytes": 100 * MB, "live_rows": 50_000, "dead_rows": 100, "changed_rows": 200, "is_analysed": True}
    return TableFacts(**{**well, **changes})


def retention(**changes: Any) -> RetentionFacts:
    well = {"hours_since_run": 5.0, "overdue_checkpoints": None, "checkpoints": 50_000, "checkpoints_per_day": 1_000.0}
    return RetentionFacts(**{**well, **changes})


def facts(*, on_sqlite: bool = True, **changes: Any) -> Facts:
    """Of a store that is well, with some changes."""
    well: dict[str, Any] = {
        "on_sqlite": on_sqlite,
        "bytes": 300 * MB,
        "free_bytes": 10 * MB if on_sqlite else None,
        "wal": WalFacts(bytes=4 * MB, pinned_bytes=0) if on_sqlite else None,
        "load": load() if on_sqlite else load(lock_wait_share=None),
        "ceiling": 2_000.0,
        "tables": () if on_sqlite else (table(),),
        "missing_indexes": (),
        "invalid_indexes": (),
        "retention": retention(),
        "unsearched": (),
    }
    return Facts(**{**well, **changes})


def ill(findings: Iterable[Finding]) -> dict[str, Severity]:
    """The findings that are more than ok, by name."""
    return {finding.name: finding.severity for finding in findings if finding.severity is not Severity.OK}


@contextmanager
def invalid_index(saver: SQLAlchemySaver, name: str) -> Iterator[None]:
    """Make an index one that was built without success; on a cluster, on every node."""

    def change(db: Db, valid: str) -> None:
        found = f"SELECT oid FROM pg_class WHERE relname ~ '^{name}(_[0-9]+)?$'"
        text = f"UPDATE pg_index SET indisvalid = {valid} WHERE indexrelid IN ({found})"
        db.execute(text if db.abilities.database.one_snapshot else f"SELECT run_command_on_workers($nodes${text}$nodes$)")

    saver.store.runner.write(lambda db: change(db, "false")).result()
    try:
        yield
    finally:
        saver.store.runner.write(lambda db: change(db, "true")).result()
