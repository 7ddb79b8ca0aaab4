"""Spans of OpenTelemetry: what they are about, how they hang together, and what they never hold."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from ckptstore import RetentionPolicy, SizeLimits, SQLAlchemySaver
from ckptstore.errors import CheckpointTooLarge
from ckptstore.langgraph.encode import Encoder
from tests.support.build import chain, config, put
from tests.support.telemetry import Telemetry, attributes_of

BIG = bytes(range(256)) * 1_000


@pytest.fixture
async def saver(url: str, otel: Telemetry) -> Any:
    async with SQLAlchemySaver.from_conn_string(url, monitoring=otel.settings) as saver:
        await saver.setup()
        yield saver


def ids(span: ReadableSpan) -> tuple[Any, ...]:
    attributes = attributes_of(span)
    return tuple(attributes.get(name) for name in ("ckptstore.thread.id", "ckptstore.checkpoint.ns", "ckptstore.checkpoint.id"))


def is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    return span.parent is not None and parent.context is not None and span.parent.span_id == parent.context.span_id


async def test_operations_have_spans_with_the_conventions_of_databases(saver: SQLAlchemySaver, otel: Telemetry) -> None:
    where = await put(saver, config("t", checkpoint_ns="sub"))
    checkpoint_id = where["configurable"]["checkpoint_id"]
    await saver.aput_writes(where, [("x", 1)], "task")
    await saver.aget_tuple(config("t", checkpoint_ns="sub"))
    await saver.alist(config("t", checkpoint_ns="sub"))
    assert ids(otel.span("put")) == ids(otel.span("put_writes")) == ("t", "sub", checkpoint_id)
    assert ids(otel.span("get")) == ids(otel.span("list")) == ("t", "sub", None)
    system = "sqlite" if saver.store.runner.statements.on_sqlite else "postgresql"
    for name in ("put", "put_writes", "get", "list", "commit"):
        for span in otel.spans(name):
            attributes = attributes_of(span)
            assert attributes["db.system.name"] == system
            assert attributes["db.operation.name"] == name
            assert attributes["db.namespace"]
            assert span.status.status_code is StatusCode.UNSET
            assert span.kind is (SpanKind.CLIENT if name == "commit" else SpanKind.INTERNAL)


def test_without_an_event_loop(url: str, otel: Telemetry) -> None:
    with SQLAlchemySaver.from_conn_string(url, monitoring=otel.settings) as saver:
        saver.setup()
        where = asyncio.run(put(saver, config("t")))
        otel.clear()
        saver.put_writes(where, [("x", 1)], "task")
        saver.get_tuple(where)
        list(saver.list(where))
    put_writes, commit = otel.span("put_writes"), otel.span("commit")
    # A caller stores its write itself on SQLite; else the batch links it.
    assert is_child(commit, put_writes) or [link.context.span_id for link in commit.links] == [put_writes.context.span_id]
    assert ids(otel.span("get")) == ids(put_writes)
    assert len(otel.spans("list")) == 1


async def test_a_batch_links_the_writes_in_it(saver: SQLAlchemySaver, otel: Telemetry) -> None:
    await put(saver, config("first"))
    otel.clear()
    await asyncio.gather(*[put(saver, config(f"t{number}")) for number in range(30)])
    puts = {span.context.span_id for span in otel.spans("put") if span.context is not None}
    commits = otel.spans("commit")
    linked = [link.context.span_id for span in commits for link in span.links]
    assert sorted(linked) == sorted(puts)
    assert len(commits) < len(puts) == 30
    for span in commits:
        attributes = attributes_of(span)
        assert attributes["ckptstore.batch.writes"] == len(span.links)
        assert attributes.get("db.operation.batch.size", 1) == len(span.links)
        assert span.parent is None


async def test_the_callers_trace_goes_on_in_our_threads(url: str, tmp_path: Path, otel: Telemetry) -> None:
    async with SQLAlchemySaver.from_conn_string(url, monitoring=otel.settings, blob_url=str(tmp_path / "blobs")) as saver:
        await saver.setup()
        otel.clear()
        with otel.tracers.get_tracer("test").start_as_current_span("request") as request:
            where = await put(saver, config("t"), {"data": BIG})
            saver.store._cache._start()
            await saver.aget_tuple(where)
        assert is_child(otel.span("put"), request)  # type: ignore[arg-type]
        assert is_child(otel.span("upload"), otel.span("put"))
        assert is_child(otel.span("get"), request)  # type: ignore[arg-type]
        assert is_child(otel.span("download"), otel.span("get"))
        assert attributes_of(otel.span("upload"))["ckptstore.blob.key"] == attributes_of(otel.span("download"))["ckptstore.blob.key"]
    assert not context.get_current()


async def test_statements_are_within_their_operations(lasting_url: str, otel: Telemetry) -> None:
    SQLAlchemyInstrumentor().instrument(tracer_provider=otel.tracers, skip_dep_check=True)
    try:
        async with SQLAlchemySaver.from_conn_string(lasting_url, monitoring=otel.settings) as saver:
            await saver.setup()
            await put(saver, config("t"))
            otel.clear()
            await put(saver, config("t"))
            await saver.aget_tuple(config("t"))
            own = {span.context.span_id for name in ("commit", "get") for span in otel.spans(name) if span.context is not None}
            statements = [span for span in otel.all_spans() if not span.name.startswith("ckptstore.") and span.name != "connect"]
            assert statements
            assert {span.parent and span.parent.span_id for span in statements} == own
    finally:
        SQLAlchemyInstrumentor().uninstrument()


async def test_a_failure_has_its_class_and_no_values(saver: SQLAlchemySaver, otel: Telemetry) -> None:
    small = saver.with_limits(SizeLimits(max_checkpoint_bytes=1_000))
    with pytest.raises(CheckpointTooLarge):
        await put(small, config("t"), {"text": "hunter2" * 1_000}, note="geheim")
    span = otel.span("put")
    assert attributes_of(span)["error.type"] == "CheckpointTooLarge"
    assert span.status.status_code is StatusCode.ERROR
    assert span.events == ()


async def test_neither_values_nor_metadata_are_in_a_span(saver: SQLAlchemySaver, otel: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    where = await put(saver, config("t"), {"text": "hunter2"}, note="geheim")
    await saver.aput_writes(where, [("x", "hunter2")], "task")
    await saver.alist(None, filter={"note": "geheim"})

    def refuse(*_: Any) -> None:
        raise ValueError("hunter2 can't be written")

    monkeypatch.setattr(Encoder, "checkpoint", refuse)
    with pytest.raises(ValueError, match="hunter2"):
        await put(saver, config("t"), {"text": "hunter2"})
    assert attributes_of(otel.spans("put")[-1])["error.type"] == "ValueError"
    shown = " ".join(span.to_json() for span in otel.all_spans())
    assert "hunter2" not in shown
    assert "geheim" not in shown


async def test_whoever_gives_up_leaves_a_span_without_an_error(saver: SQLAlchemySaver, otel: Telemetry) -> None:
    task = asyncio.ensure_future(put(saver, config("t")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert otel.span("put").status.status_code is StatusCode.UNSET


async def test_upkeep_has_spans(url: str, tmp_path: Path, otel: Telemetry) -> None:
    async with SQLAlchemySaver.from_conn_string(url, monitoring=otel.settings, blob_url=str(tmp_path / "blobs")) as saver:
        await saver.setup()
        await chain(saver, "t", 3)
        await saver.aprune_by(RetentionPolicy(keep_last=1))
        await saver.acollect(grace=timedelta(0))
        async with SQLAlchemySaver.from_conn_string(str(tmp_path / "copy.sqlite"), monitoring=otel.settings) as other:
            await saver.acopy_to(other)
        await put(saver, config("u"), user_id="ann")
        await saver.aerase({"user_id": "ann"})
    for name in ("prune", "collect", "transfer", "erase", "delete_thread"):
        assert attributes_of(otel.span(name))["db.operation.name"] == name
    assert ids(otel.span("delete_thread")) == ("u", None, None)
    assert is_child(otel.span("delete_thread"), otel.span("erase"))


async def test_without_a_provider_nothing_is_made(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await put(saver, config("t"))
        assert saver.store.monitor.tracing is None
        assert saver.store.monitor.metrics is None
