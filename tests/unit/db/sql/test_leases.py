"""Statements on leases: the database's clock, a thread in each, and locks that don't stop writes under a lease."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.dialects import postgresql, sqlite

from ckptstore.db.sql import leases

STATEMENTS: tuple[Callable[[str], ClauseElement], ...] = (
    leases.request,
    leases.lock_holder,
    leases.queue_of,
    leases.grant,
    leases.drop,
    leases.renew,
    leases.states_of,
    leases.lock_fences,
)


DIALECTS: dict[str, Dialect] = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}  # type: ignore[no-untyped-call]


def text(build: Callable[[str], ClauseElement], database: str) -> str:
    return str(build(database).compile(dialect=DIALECTS[database]))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_statement_names_the_thread_and_no_time_of_a_process(database: str) -> None:
    for build in STATEMENTS:
        made = text(build, database)
        assert "thread_id" in made
        assert "CURRENT_TIMESTAMP" not in made
        assert not [name for name in ("since", "expires_at", "now") if f":{name}" in made or f"%({name})" in made]


def test_times_are_those_of_the_database_at_this_moment() -> None:
    # Not that of the transaction, which may have waited for a lock since; and a distributed database refuses what is volatile.
    assert "statement_timestamp()" in text(leases.renew, "postgresql")
    assert "julianday('now')" in text(leases.renew, "sqlite")


def test_a_write_keeps_others_from_deleting_its_lease_and_not_from_renewing_it() -> None:
    assert text(leases.lock_fences, "postgresql").endswith("FOR KEY SHARE OF ckpt_lease")
    assert text(leases.lock_holder, "postgresql").endswith("FOR NO KEY UPDATE")
    assert "FOR" not in text(leases.lock_fences, "sqlite")
