"""Real stores, each with an illness that the doctor finds."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import psycopg
import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.inspection.doctor import thresholds
from ckptstore.inspection.doctor.diagnosis import diagnose
from ckptstore.inspection.doctor.facts import Facts
from ckptstore.inspection.doctor.findings import Finding
from ckptstore.inspection.doctor.reading import read_facts
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.runtime.steps import drive
from tests.support import databases
from tests.support.build import chain, config, put
from tests.support.databases import url_of
from tests.support.doctor import ill, invalid_index
from tests.support.loads import add_loads, load_row
from tests.support.transfers import schema

DAY = 24 * 3_600_000_000
PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'ckpt_checkpoint'::regclass"


def examine(saver: SQLAlchemySaver, overdue: int | None = None) -> Facts:
    return drive(read_facts(saver.store, saver._now(), LANGGRAPH, ceiling=None, overdue=overdue))


def findings(saver: SQLAlchemySaver) -> dict[str, Finding]:
    return {finding.name: finding for finding in diagnose(examine(saver))}


def execute(saver: SQLAlchemySaver, statement: str) -> None:
    saver.store.runner.write(lambda db: db.execute(statement)).result()


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg", "asyncpg partitioned"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """A kind of database, and the URL of an empty one."""
    return request.param, url_of(request.param, request, tmp_path)


async def test_a_store_that_is_well(place: tuple[str, str], request: pytest.FixtureRequest) -> None:
    kind, url = place
    parts = 4 if kind.endswith("partitioned") or (kind != "sqlite" and request.config.getoption("--partitioned")) else 0
    if kind in ("asyncpg", "psycopg") and request.config.getoption("--citus"):
        parts = databases.SHARDS
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await chain(saver, "t", 5)
        add_loads(saver, load_row(saver._now() - DAY))
        await saver.avacuum()
        found = examine(saver)
        assert ill(diagnose(found)) == {"retention": "note"}
    assert (found.on_sqlite, found.retention.checkpoints, found.missing_indexes) == (kind == "sqlite", 5, [])
    assert {table.name: table.partitions for table in found.tables}.get("ckpt_thread", 0) == parts
    assert found.retention.checkpoints_per_day == pytest.approx(5 / 7)


def test_advice_in_a_schema_can_be_run_as_it_is(postgres_url: str) -> None:
    with schema(postgres_url, "Tenant one"), SQLAlchemySaver.from_conn_string(postgres_url, schema="Tenant one") as saver:
        execute(saver, 'DROP INDEX "Tenant one".ckpt_object_by_digest')
        finding = findings(saver)["index"]
        assert finding.command == 'CREATE INDEX ckpt_object_by_digest ON "Tenant one".ckpt_object (digest)'
        execute(saver, finding.command)
        execute(saver, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '\"Tenant one\".ckpt_object_by_digest'::regclass")
        command = findings(saver)["index"].command
        assert command == 'REINDEX INDEX CONCURRENTLY "Tenant one".ckpt_object_by_digest'
        execute(saver, command)
        assert findings(saver)["index"].severity == "ok"


async def test_an_index_that_was_dropped(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await chain(saver, "t", 1)
        execute(saver, "DROP INDEX ckpt_checkpoint_newest")
        index = findings(saver)["index"]
        assert (index.severity, index.evidence) == ("urgent", {"index": "ckpt_checkpoint_newest"})
        # What it says to run is what is missing.
        execute(saver, index.command)
        assert findings(saver)["index"].severity == "ok"


async def test_the_lock_that_savers_wait_for(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await chain(saver, "t", 1)
        waiting = {"lock_wait_microseconds": 40_000_000, "commit_p99_microseconds": 500_000}
        add_loads(saver, *[load_row(saver._now() - n * 60_000_000, **waiting) for n in range(20)])
        found = findings(saver)["database"]
    assert (found.severity, found.command.startswith("ckptstore move")) == ("urgent", True)
    assert found.evidence["lock_wait_share"] == pytest.approx(2 / 3)


async def test_a_log_that_a_reader_pins(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "WAL_PINNED_BYTES", thresholds.Limits(1, 100_000))
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await chain(saver, "t", 1)
        reader = sqlite3.connect(sqlite_url, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM ckpt_checkpoint").fetchall()
        await put(saver, config("t"), {"file": "x" * 10}, blob=[f"{n} {'y' * 40}" for n in range(900)])
        await chain(saver, "u", 40)
        found = findings(saver)["wal"]
        assert (found.severity, found.evidence["pinned_bytes"] > 100_000) == ("care", True)
        reader.execute("ROLLBACK")
        assert findings(saver)["wal"].severity == "ok"
        reader.close()


async def test_free_pages_after_deletes(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "LEAST_FREE_BYTES", 4096)
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        for n in range(20):
            await put(saver, config(f"t{n}"), {"long": f"{n}" * 60_000})
        await chain(saver, "many", 80)
        assert findings(saver)["vacuum"].severity == "ok"
        await saver.adelete_thread("many")
        found = findings(saver)["vacuum"]
        assert (found.severity != "ok", found.command) == (True, "ckptstore vacuum")
        await saver.avacuum()
        assert findings(saver)["vacuum"].severity == "ok"


async def test_retention_that_is_behind(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await chain(saver, "t", 7)
        behind = {finding.name: finding for finding in diagnose(examine(saver, overdue=5))}["retention"]
        # One comes each day, in the mean of a week.
        assert (behind.severity, behind.evidence["checkpoints_per_day"]) == ("care", 1.0)
        ran_at = saver._now() - 4 * DAY
        value = f"'{{\"ran_at\": {ran_at}}}'"
        execute(saver, f"INSERT INTO ckpt_setting (name, value) VALUES ('retention', {value})")
        found = findings(saver)["retention"]
        assert (found.severity, round(found.evidence["hours_since_run"])) == ("care", 96)


async def test_tags_that_nobody_searches(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for step in range(5):
            await put(saver, config("t"), {"n": step}, step, user="ann", traces=[f"{step}.{n}" for n in range(20)])
        add_loads(saver, load_row(saver._now() - 8 * DAY, searched={"user": 3}))
        found = findings(saver)["tags"]
    assert (found.severity, list(found.evidence)) == ("care", ["traces"])


async def test_a_pool_without_a_free_connection(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await chain(saver, "t", 1)
        add_loads(saver, *[load_row(saver._now() - n * 60_000_000, connections_in_use=5) for n in range(4)])
        assert findings(saver)["pool"].severity == "urgent"


@pytest.mark.parametrize("url", ["asyncpg"], indirect=True)
async def test_dead_rows_and_statistics_that_are_old(url: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "LEAST_ROWS", 20)
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        with psycopg.connect(postgres_url, autocommit=True) as other:
            # It has a row, and as many dead ones as there were upgrades.
            other.execute("VACUUM (ANALYZE) ckpt_alembic_version")
            leaves = [row[0] for row in other.execute(PARTITIONS)] or ["ckpt_checkpoint"]
            for leaf in leaves:
                other.execute(f"ALTER TABLE {leaf} SET (autovacuum_enabled = off)")
            try:
                # Its sessions end with what they counted, so that no other table has dead rows later.
                async with SQLAlchemySaver.from_conn_string(url) as writer:
                    await chain(writer, "t", 60)
                await saver.avacuum()
                with psycopg.connect(postgres_url) as writing:
                    writing.execute("UPDATE ckpt_checkpoint SET format = format")
                # What its sessions counted is known when they have ended, on all nodes.
                while (found := findings(saver))["dead rows"].severity != "urgent" or found["statistics"].severity != "care":  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
                assert "ckpt_checkpoint" in found["dead rows"].message
                await saver.avacuum()
                found = findings(saver)
                assert (found["dead rows"].severity, found["statistics"].severity) == ("ok", "ok")
            finally:
                for leaf in leaves:
                    other.execute(f"ALTER TABLE {leaf} RESET (autovacuum_enabled)")


@pytest.mark.parametrize("url", ["asyncpg"], indirect=True)
async def test_an_index_that_was_built_without_success(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await chain(saver, "t", 1)
        with invalid_index(saver, "ckpt_object_by_digest"):
            assert findings(saver)["index"].command == "REINDEX INDEX CONCURRENTLY ckpt_object_by_digest"
