"""SQLAlchemy's own tools see our statements: events, logs, OpenTelemetry."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ckptstore import SQLAlchemySaver
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.url import parse_database_url
from ckptstore.errors import StatementRefused
from tests.support.build import chain, checkpoint, metadata

STATEMENTS = ("INSERT", "SELECT", "BEGIN", "COMMIT")
ENGINE_LOGGER = "sqlalchemy.engine"


@pytest.fixture
async def engine(lasting_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine that the caller owns."""
    made = create_async_engine(parse_database_url(lasting_url))
    yield made
    await made.dispose()


@pytest.fixture(params=["url", "engine"])
async def saver(request: pytest.FixtureRequest, lasting_url: str, engine: AsyncEngine) -> AsyncIterator[SQLAlchemySaver]:
    """A saver that was used before anyone observes it, so that it keeps its connections."""
    made = SQLAlchemySaver.from_conn_string(lasting_url) if request.param == "url" else SQLAlchemySaver(engine)
    async with made:
        await use(made, "before")
        yield made


async def use(saver: SQLAlchemySaver, thread_id: str) -> None:
    """Put, put again (which takes a transaction), read and search."""
    where = (await chain(saver, thread_id, 2))[-1]
    again = checkpoint({"n": "again"}, id=where["configurable"]["checkpoint_id"])
    await saver.aput(where, again, metadata(9), again["channel_versions"])
    assert await saver.aget_tuple(where) is not None
    assert await saver.alist(None, filter={"step": 9}, limit=1)


@contextmanager
def listening(target: Any) -> Iterator[list[str]]:
    """The statements that both cursor events report, in order."""
    before: list[str] = []
    after: list[str] = []

    def note_before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        before.append(statement)

    def note_after(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        after.append(statement)

    event.listen(target, "before_cursor_execute", note_before)
    event.listen(target, "after_cursor_execute", note_after)
    try:
        yield before
    finally:
        event.remove(target, "before_cursor_execute", note_before)
        event.remove(target, "after_cursor_execute", note_after)
    # Only a statement that fails has nothing after it.
    assert not Counter(after) - Counter(before)


def assert_all_kinds(statements: list[str]) -> None:
    assert {kind for kind in STATEMENTS if any(kind in statement for statement in statements)} == set(STATEMENTS)


async def test_listeners_on_the_class_see_every_statement(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    executed: list[str] = []
    execute = Db.execute

    def recording(db: Db, text: str, arguments: Any = ()) -> Any:
        executed.append(text)
        return execute(db, text, arguments)

    monkeypatch.setattr(Db, "execute", recording)
    with listening(Engine) as statements:
        await use(saver, "t")
    assert_all_kinds(statements)
    assert sorted(statements) == sorted(executed)
    with listening(Engine):
        pass
    await use(saver, "u")
    assert len(statements) < len(executed), "a listener that was removed is called no more"


async def test_listeners_on_the_callers_engine_see_every_statement(engine: AsyncEngine) -> None:
    async with SQLAlchemySaver(engine) as saver:
        await saver.setup()
        with listening(engine.sync_engine) as statements:
            await use(saver, "t")
        assert_all_kinds(statements)


async def test_a_rollback_is_reported(saver: SQLAlchemySaver) -> None:
    def fail(db: Db) -> None:
        with db.transaction():
            raise LookupError

    with listening(Engine) as statements, pytest.raises(LookupError):
        saver.store.runner.write(fail).result()
    assert [statement.partition(" ")[0] for statement in statements if "PRAGMA" not in statement] == ["BEGIN", "ROLLBACK"]


async def test_errors_are_the_same_with_a_listener_and_without(saver: SQLAlchemySaver) -> None:
    def fail(db: Db) -> None:
        db.execute("SELECT no_such_column FROM ckpt_setting WHERE 1 = 'x'" if db.on_sqlite else "SELECT 1 / 0")

    def violate(db: Db) -> type[Exception]:
        for _ in range(2):
            try:
                db.execute("INSERT INTO ckpt_setting (name, value) VALUES ('twice', '{}')")
            except Exception as exc:
                return type(exc)
        return Exception

    def failures() -> tuple[str, type[Exception]]:
        with pytest.raises(Exception, match=r".") as failed:
            saver.store.runner.read(fail).result()
        return f"{failed.type} {failed.value}", saver.store.runner.write(violate).result()

    alone = failures()
    with listening(Engine):
        assert failures() == alone
    assert alone[1].__name__ in ("IntegrityError", "UniqueViolationError", "UniqueViolation")
    assert StatementRefused.__name__ in alone[0] or saver.store.runner.statements.on_sqlite


async def test_rows_and_counts_are_the_same_with_a_listener_and_without(saver: SQLAlchemySaver) -> None:
    def look(db: Db) -> list[Any]:
        found: list[Any] = []
        with suppress(StatementRefused), db.transaction():
            rows = list(db.run(sql.prune.thread_nodes, {"thread_id": "before"}))
            deleted = db.run(sql.delete.delete_thread_rows, {"thread_id": "before"}, sql.tables.CHECKPOINT)
            found += [[tuple(row) for row in rows], deleted.rowcount, list(deleted), rows[0][:2]]
            # Nothing is deleted after all.
            raise StatementRefused
        return found

    alone = saver.store.runner.write(look).result()
    with listening(Engine):
        assert saver.store.runner.write(look).result() == alone
    assert alone[1] == 2


async def test_a_log_level_shows_every_statement(saver: SQLAlchemySaver, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, ENGINE_LOGGER):
        await use(saver, "t")
    assert_all_kinds(messages(caplog))
    caplog.clear()
    await use(saver, "u")
    assert messages(caplog) == []


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith(ENGINE_LOGGER)]


@pytest.mark.parametrize("when", ["from the start", "later"])
async def test_echo_shows_every_statement(lasting_url: str, when: str, caplog: pytest.LogCaptureFixture) -> None:
    engine = create_async_engine(parse_database_url(lasting_url), echo=when == "from the start")
    async with SQLAlchemySaver(engine) as saver:
        await saver.setup()
        await use(saver, "before")
        if when == "later":
            assert messages(caplog) == []
            engine.echo = True
        caplog.clear()
        await use(saver, "t")
        assert_all_kinds(messages(caplog))
    await engine.dispose()


async def test_without_an_observer_statements_run_at_the_drivers_cursor(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("executed by SQLAlchemy")

    monkeypatch.setattr(Db, "_execute_reported", refuse)
    await use(saver, "t")
    with listening(Engine), pytest.raises(AssertionError):
        await use(saver, "u")


# --- OpenTelemetry. Its instrumentation names SQLAlchemy below 2.1 as what it needs, and works with 2.1.


@pytest.fixture
def spans() -> Iterator[tuple[TracerProvider, Callable[[], list[str]]]]:
    """A provider, and the statements of the spans that it was given."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    def statements() -> list[str]:
        found = [span.attributes.get("db.statement") for span in exporter.get_finished_spans() if span.attributes is not None]
        return [str(statement) for statement in found if statement]

    yield provider, statements
    SQLAlchemyInstrumentor().uninstrument()


async def test_opentelemetry_sees_a_saver_that_was_built_from_a_url(lasting_url: str, spans: Any) -> None:
    provider, statements = spans
    SQLAlchemyInstrumentor().instrument(tracer_provider=provider, skip_dep_check=True)
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await saver.setup()
        await use(saver, "t")
    assert_all_kinds(statements())


async def test_opentelemetry_sees_an_engine_of_the_callers(engine: AsyncEngine, spans: Any) -> None:
    provider, statements = spans
    SQLAlchemyInstrumentor().instrument(engine=engine.sync_engine, tracer_provider=provider, skip_dep_check=True)
    async with SQLAlchemySaver(engine) as saver:
        await saver.setup()
        await use(saver, "t")
    assert_all_kinds(statements())
