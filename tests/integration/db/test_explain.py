"""No documented search reads a whole table: what the planners do, with statistics and without."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from ckptstore import MonitoringSettings, SQLAlchemySaver
from ckptstore.db import sql
from ckptstore.db.abilities import Abilities
from ckptstore.db.connection import Db
from ckptstore.db.id_times import OFF_TIME
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.statement import CompiledStatement
from ckptstore.db.url import parse_database_url
from ckptstore.inspection import sample
from ckptstore.inspection.outline import find_checkpoint, thread_page
from ckptstore.inspection.viewing import view_checkpoint
from ckptstore.reads import checkpoints as reads_checkpoints
from ckptstore.reads import threads as reads_threads
from ckptstore.records import Value
from ckptstore.runtime.steps import drive
from ckptstore.store import listing
from ckptstore.writes.commit import commit_batch
from tests.support.attempts import new_checkpoint, task_writes
from tests.support.build import checkpoint, config
from tests.support.build import metadata as metadata_of
from tests.support.databases import url_of
from tests.support.searches import SEARCHES, STEPS, THREAD_SEARCHES, THREADS, units

# First of all fixtures, so that a database is filled once for all of its tests.
pytestmark = pytest.mark.usefixtures("filled")

# Walks in the order of the listing, which end with the page.
ORDERED = ("ckpt_checkpoint_newest", "ckpt_thread_by_activity", "ckpt_thread_pkey")


class Explained(NamedTuple):
    """A statement, and the lines of its plan."""

    statement: str
    plan: list[str]


KINDS = ["sqlite", "asyncpg", "asyncpg engine", "psycopg unprepared"]


@pytest.fixture(scope="module", params=KINDS)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLAlchemySaver]:
    """A saver of each kind, on a database with something in every table, and no settings of the planner's."""
    driver, _, kind = request.param.partition(" ")
    url = url_of(driver, request, tmp_path_factory.mktemp("explain"))
    engine = create_async_engine(parse_database_url(url))
    settings = DatabaseSettings(prepared_statements=kind != "unprepared")
    # Whenever a minute ends, the load is written beside what a test looks at.
    options: Any = {"monitoring": MonitoringSettings(record_load=False)}
    own = partial(SQLAlchemySaver.from_conn_string, url, settings=settings, **options)
    with SQLAlchemySaver(engine, **options) if kind == "engine" else own() as saver:
        saver.setup()
        everything = list(units(saver))
        for start in range(0, len(everything), 500):
            part = everything[start : start + 500]
            saver.store.runner.write(lambda db, part=part: commit_batch(db, part)).result()  # type: ignore[misc]
        # No table may be so small that it is best read whole.
        segments = [("filler", f"digest-{number}", 1, "raw", b"x", None) for number in range(2_000)]
        saver.store.runner.write(lambda db: db.insert(sql.tables.SEGMENT, "keep", segments)).result()
        saver.store.runner.write(add_numbers).result()
        with no_autovacuum(saver):
            yield saver


def add_numbers(db: Db) -> None:
    """As many numbers of threads, and of keys and values, as a store has where no planner reads them all."""
    if not db.on_sqlite:
        db.execute("INSERT INTO ckpt_tag_thread (thread_id) SELECT 'filler-' || n FROM generate_series(1, 5000) AS n")
        db.execute("INSERT INTO ckpt_tag_value (key, value) SELECT 'filler', 's' || n FROM generate_series(1, 40000) AS n")


@contextmanager
def no_autovacuum(saver: SQLAlchemySaver) -> Iterator[None]:
    """Nothing but a test changes what the planner knows."""

    def alter(db: Db, change: str) -> None:
        if not db.on_sqlite:
            leaves = "SELECT oid::regclass::text FROM pg_class WHERE starts_with(relname, 'ckpt_') AND relkind = 'r'"
            for (name,) in db.execute(leaves).all():
                db.execute(f"ALTER TABLE {name} {change}")

    saver.store.runner.write(partial(alter, change="SET (autovacuum_enabled = false)")).result()
    yield
    saver.store.runner.write(partial(alter, change="RESET (autovacuum_enabled)")).result()


@pytest.fixture(scope="module", params=["without statistics", "with statistics"])
def planned(request: pytest.FixtureRequest, filled: SQLAlchemySaver) -> SQLAlchemySaver:
    """The filled saver, whose planner knows nothing of the tables, or all."""
    set_statistics(filled, request.param)
    return filled


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages as small beside these tables as they are beside real ones, and so more than one of them."""
    monkeypatch.setattr(listing, "_PAGE_SIZE", 4)
    monkeypatch.setattr(reads_threads, "_METADATA_PAGE_SIZE", 4)
    monkeypatch.setattr(reads_checkpoints, "_METADATA_PAGE_SIZE", 50)


def is_prepared(db: Db) -> bool:
    return "$1" in db.statements[sql.checkpoints.newest,].text


@contextmanager
def explained() -> Iterator[list[Explained]]:
    """All statements that are run, with the plans for their parameters."""
    plans: list[Explained] = []
    run = Db.run

    def explain(db: Db, build: Any, parameters: Any = None, *args: Any) -> Any:
        statement = db.statements[build, *args]
        plans.append(Explained(statement.text, _plan(db, statement, parameters)))
        return run(db, build, parameters, *args)

    with mock.patch.object(Db, "run", explain):
        yield plans


def _plan(db: Db, statement: CompiledStatement, parameters: Any) -> list[str]:
    how = "EXPLAIN QUERY PLAN" if db.on_sqlite else "EXPLAIN"
    return [str(row[-1]) for row in db.execute(f"{how} {statement.text}", statement.arguments(parameters or {}))]


def whole_tables(plans: list[Explained]) -> list[tuple[str, str]]:
    """What is read from end to end, and by which statement; a walk in the order of an index ends with the page."""
    found = []
    for statement, plan in plans:
        walks = [line for line in plan if re.search(r"SCAN ckpt_|Seq Scan on ckpt_", line) and not any(name in line for name in ORDERED)]
        # SQLite's way to say that it walks along the primary key.
        walks = [line for line in walks if line != "SCAN ckpt_thread" or any("ORDER BY" in other for other in plan)]
        found += [(line, statement) for line in walks]
    return found


def set_statistics(saver: SQLAlchemySaver, statistics: str) -> None:
    """What the planner knows of the tables: all, or nothing, as of a database that grows faster than it is analyzed."""

    def work(db: Db) -> None:
        db.execute("ANALYZE")
        if db.on_sqlite:
            if statistics != "with statistics":
                db.execute("DELETE FROM sqlite_stat1")
            # SQLite's connections read the statistics with the schema: one that is open has to notice that it changed.
            db.execute("CREATE TABLE changed (x)")
            db.execute("DROP TABLE changed")
        elif statistics != "with statistics":
            ours = "SELECT oid FROM pg_class WHERE starts_with(relname, 'ckpt_') AND relkind IN ('r', 'i')"
            db.execute(f"DELETE FROM pg_statistic WHERE starelid IN ({ours})")
            db.execute(f"UPDATE pg_class SET reltuples = -1, relpages = 0, relallvisible = 0 WHERE oid IN ({ours})")

    if statistics == "with statistics" and saver.store.runner.read(is_partitioned).result():
        pytest.skip("a partition of these tables is so small that it is best read whole")
    saver.store.runner.write(work).result()


def is_partitioned(db: Db) -> bool:
    return not db.on_sqlite and db.execute("SELECT relkind::text FROM pg_class WHERE oid = 'ckpt_thread'::regclass").scalar_one() == "p"


class Searched(NamedTuple):
    """The plans of a search: for its parameters, and for any."""

    explained: list[Explained]
    kept: list[Explained]


ALL_SEARCHES = [*SEARCHES, *(f"threads: {search}" for search in THREAD_SEARCHES)]


@pytest.fixture(scope="module")
def search_once(planned: SQLAlchemySaver) -> Callable[[str], Awaitable[Searched]]:
    """Runs a search for all tests that look at its plans."""
    done: dict[str, Searched] = {}

    async def search_for(search: str) -> Searched:
        if search not in done:
            with explained() as plans, kept_plans() as kept:
                if search.startswith("threads: "):
                    found: list[Any] = await planned.alist_threads(**{"limit": 10, **THREAD_SEARCHES[search.removeprefix("threads: ")]})
                else:
                    found = await planned.alist(**{"config": None, "limit": 10, **SEARCHES[search]})
            assert found
            done[search] = Searched(plans, kept)
        return done[search]

    return search_for


@pytest.mark.parametrize("search", ALL_SEARCHES)
async def test_a_search_reads_no_whole_table(search_once: Callable[[str], Awaitable[Searched]], search: str) -> None:
    plans = (await search_once(search)).explained
    assert plans
    assert whole_tables(plans) == []


# --- the plans that the saver's own connections keep, page after page ------------------------------------------------------

# What has to be known of a row before an index is of use.
FIRST_COLUMNS = {
    "ckpt_checkpoint_pkey": "thread_id",
    "ckpt_checkpoint_by_time": "created_at",
    "ckpt_checkpoint_off_time": "created_at",
    "ckpt_tag_pkey": "key",
    "ckpt_tag_posting_newest": "value_no",
    "ckpt_tag_thread_pkey": "number",
    "ckpt_tag_thread_key": "thread_id",
    "ckpt_channel_pkey": "thread_id",
    "ckpt_write_pkey": "thread_id",
}


@contextmanager
def kept_plans() -> Iterator[list[Explained]]:
    """All statements that are run, with the plan that serves whatever their parameters are."""
    plans: list[Explained] = []
    run = Db.run

    def explain(db: Db, build: Any, parameters: Any = None, *args: Any) -> Any:
        statement = db.statements[build, *args]
        plan = generic_plan(db, statement.text) if is_prepared(db) else _plan(db, statement, parameters)
        plans.append(Explained(statement.text, plan))
        return run(db, build, parameters, *args)

    with mock.patch.object(Db, "run", explain):
        yield plans


def generic_plan(db: Db, statement: str) -> list[str]:
    """What PostgreSQL does with a prepared statement before it looks at parameters."""
    arguments = max(map(int, re.findall(r"\$(\d+)", statement)), default=0)
    nulls = f"({', '.join(['NULL'] * arguments)})" if arguments else ""
    db.execute(f"PREPARE explained AS {statement}")
    db.execute("SET plan_cache_mode = force_generic_plan")
    try:
        return [str(row[-1]) for row in db.execute(f"EXPLAIN EXECUTE explained{nulls}")]
    finally:
        db.execute("RESET plan_cache_mode")
        db.execute("DEALLOCATE explained")


def full_reads(statement: str, plan: list[str]) -> list[str]:
    """The lines of a plan that read a table, or an index, from end to end, or a period where only what is off time is asked for."""
    if any(condition in statement for condition in OFF_TIME.values()) and (lines := [line for line in plan if "_by_time" in line]):
        return lines
    return _in_postgresql(plan) if any("(cost=" in line for line in plan) else _in_sqlite(statement, plan)


def _in_sqlite(statement: str, plan: list[str]) -> list[str]:
    aliases = {alias or table for table, alias in re.findall(r"\b(ckpt_\w+)(?: AS (\w+))?", statement)}
    sorts = any("ORDER BY" in line for line in plan)
    found = []
    for line in plan:
        scanned = re.match(r"SCAN (\w+)", line)
        in_order = any(index in line for index in ORDERED) or line == "SCAN ckpt_thread"
        if "ANY(" in line or (scanned and scanned[1] in aliases and (sorts or not in_order)):
            found.append(line)
    return found


def _in_postgresql(plan: list[str]) -> list[str]:
    found = []
    for number, line in enumerate(plan):
        index = re.search(r"Index (?:Only )?Scan (?:Backward )?(?:using|on) (\w+)", line)
        if "Seq Scan on ckpt_" in line:
            found.append(line)
        elif index and index[1] in ORDERED:
            found += [] if any("Limit" in above for above in plan[:number]) else [line]
        elif index and index[1] in FIRST_COLUMNS:
            condition = next((below for below in plan[number + 1 : number + 3] if "Index Cond:" in below), "")
            found += [] if re.search(rf"\b{FIRST_COLUMNS[index[1]]}\b", condition) else [f"{line} {condition}"]
    return found


@pytest.mark.parametrize("search", ALL_SEARCHES)
async def test_no_page_of_a_search_is_read_from_end_to_end(search_once: Callable[[str], Awaitable[Searched]], search: str) -> None:
    plans = (await search_once(search)).kept
    assert plans
    assert [(line, statement) for statement, plan in plans for line in full_reads(statement, plan)] == []


def test_a_full_read_is_noticed(filled: SQLAlchemySaver) -> None:
    def look(db: Db) -> list[list[str]]:
        condition = "value = 'x'" if db.on_sqlite else "half = '0000000000000000'"
        whole = [f"SELECT * FROM ckpt_tag_posting AS has_0 WHERE {condition}", "SELECT * FROM ckpt_checkpoint WHERE checkpoint_ns = 'x'"]
        explained = [db.execute(f"{'EXPLAIN QUERY PLAN' if db.on_sqlite else 'EXPLAIN'} {each}").all() for each in whole]
        return [full_reads(each, [str(row[-1]) for row in plan]) for each, plan in zip(whole, explained, strict=True)]

    assert all(filled.store.runner.read(look).result())


@pytest.mark.parametrize("table", ["ckpt_checkpoint", "ckpt_tag", "ckpt_channel", "ckpt_write", "ckpt_segment", "ckpt_thread"])
def test_there_is_something_to_be_read_in_every_table(filled: SQLAlchemySaver, table: str) -> None:
    assert filled.store.runner.read(lambda db: db.execute(f"SELECT count(*) FROM {table}").scalar_one()).result() >= 100


async def test_no_page_reads_all_segments(planned: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FIRST_COLUMNS, "ckpt_segment_pkey", "thread_id")
    with kept_plans() as plans:
        assert await planned.alist(None, filter={"user": "u7"}, limit=10)
    assert [line for statement, plan in plans for line in full_reads(statement, plan)] == []


@pytest.mark.parametrize("plans_of", [explained, kept_plans])
# SQLite takes a batch as one insert into a view, whose triggers find rows by their primary keys.
@pytest.mark.parametrize("filled", [kind for kind in KINDS if kind != "sqlite"], indirect=True, scope="module")
async def test_no_put_reads_a_whole_table(planned: SQLAlchemySaver, plans_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # No plan shows what a function does.
    monkeypatch.setattr(planned.store.runner, "abilities", Abilities())
    version = f"{1:010}.{'0' * 12}"
    with plans_of() as plans:
        for step in range(3):
            # The second and third carry the value of the first over, and name its segments again.
            made = checkpoint({"text": ["long " * 10_000], "n": step}, {"text": version, "n": f"{step + 1:010}.x"})
            new = {"text": version, "n": f"{step + 1:010}.x"} if step == 0 else {"n": f"{step + 1:010}.x"}
            where = await planned.aput(config("put"), made, metadata_of(step), new)  # type: ignore[arg-type]
            await planned.aput_writes(where, [("n", step), ("text", "long " * 10_000)], "task")
        await planned.aput(config("put"), made, metadata_of(9), new)  # type: ignore[arg-type]
    await planned.adelete_thread("put")
    lines = [line for _, plan in plans for line in plan]
    assert any("Insert on ckpt_checkpoint" in line for line in lines)
    scans = [number for number, line in enumerate(lines) if re.search(r"(Seq|Index|Only) Scan (using|on) ckpt_", line)]
    assert len(scans) >= 10
    assert [lines[number] for number in scans if not any("Index Cond:" in line for line in lines[number + 1 : number + 4])] == []


# Of what this transaction has done so far.
_READ = "SELECT relname, seq_scan, coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE starts_with(relname, 'ckpt_')"


@pytest.mark.parametrize("filled", [kind for kind in KINDS if kind != "sqlite"], indirect=True, scope="module")
def test_the_function_for_batches_reads_no_more_than_it_looks_up(planned: SQLAlchemySaver) -> None:
    versions = [("text", f"{n}") for n in range(3)]
    first = new_checkpoint("function", "1", values=[(*version, Value("msgpack", b"x" * 5_000)) for version in versions])
    carrying = [new_checkpoint("function", f"{number + 2}", carried=[version]) for number, version in enumerate(versions)]

    def look(db: Db) -> dict[str, tuple[int, int]]:
        assert db.abilities.batch_function is not None
        with db.transaction():
            commit_batch(db, [first])
            before = {table: read for table, *read in db.execute(_READ)}
            for batch in ([carrying[0]], [*carrying[1:], task_writes("function", "task")]):
                assert commit_batch(db, batch) == [None] * len(batch)
            found = {table: read for table, *read in db.execute(_READ)}
            raise LookupError({table: (read[0] - before[table][0], read[1] - before[table][1]) for table, read in found.items()})

    with pytest.raises(LookupError) as reads:
        planned.store.runner.write(look).result()
    (found,) = reads.value.args
    assert {table: read for table, read in found.items() if read[0]} == {}
    assert sum(fetched for _, fetched in found.values()) <= 10


def test_looking_at_a_thread_reads_no_whole_table(planned: SQLAlchemySaver) -> None:
    with explained() as plans:
        page = drive(thread_page(planned.store, "thread-7", None, "f", 4))
        drive(find_checkpoint(planned.store, "thread-7", None, page.checkpoints[0].key.checkpoint_id[:-1]))
        drive(view_checkpoint(planned.store, page.checkpoints[0].key))
    assert len(page.checkpoints) == 4
    assert whole_tables(plans) == []


def test_a_sample_of_threads_reads_the_rows_of_threads_only(planned: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nor are there objects, so that a planner with statistics reads all of none.
    monkeypatch.setattr(sample, "_MAX_THREADS", 6)
    with explained() as plans:
        found = planned.store.runner.read(lambda db: sample.read_sample(db, THREADS, 5, full=False)).result()
    assert (found.threads, found.writes) == (6, 6 * STEPS)
    assert [(line, statement) for line, statement in whole_tables(plans) if not re.search("ckpt_(thread|object)", line)] == []
