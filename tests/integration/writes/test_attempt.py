"""Large values are serialised on a worker thread."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore import SQLAlchemySaver
from ckptstore.errors import SerializationFailed
from tests.support.build import checkpoint, config, metadata, put
from tests.support.values import WAIT_SECONDS


class Noting(JsonPlusSerializer):
    """Notes on which thread it serialises long lists."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        if isinstance(obj, list) and len(obj) > 1:
            self.threads.append(threading.get_ident())
        return super().dumps_typed(obj)


async def test_what_was_large_is_serialised_on_another_thread(url: str) -> None:
    noting, here = Noting(), threading.get_ident()
    lines = [f"line {number}: " + "word " * 100 for number in range(3_000)]
    async with SQLAlchemySaver.from_conn_string(url, serde=noting) as saver:
        where = await put(saver, config("t"), {"lines": lines, "few": ["a"]})
        assert set(noting.threads) == {here}
        noting.threads.clear()
        more = checkpoint({"lines": [*lines, "more"]}, {"lines": "2"})
        # In the order of the calls, whatever takes longest.
        large = asyncio.ensure_future(saver.aput(where, more, metadata(1), {"lines": "2"}))
        await asyncio.sleep(0)
        await saver.aput_writes(config("t", more["id"]), [("few", "b")], "task")
        assert large.done()
        await large
        assert noting.threads
        assert here not in noting.threads
        found = await saver.alist(config("t"))
        assert [len(each.checkpoint["channel_values"]["lines"]) for each in found] == [3_001, 3_000]
        assert found[0].pending_writes == [("task", "few", "b")]


async def test_what_fails_on_another_thread_is_reported_and_the_next_write_works(url: str) -> None:
    lines = ["word " * 100] * 3_000
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        where = await put(saver, config("t"), {"lines": lines})
        bad = checkpoint({"lines": [*lines, threading.Lock()]}, {"lines": "2"})
        with pytest.raises(SerializationFailed, match="lines"):
            await saver.aput(where, bad, metadata(1), {"lines": "2"})
        good = checkpoint({"lines": [*lines, "good"]}, {"lines": "3"})
        saver.put(where, good, metadata(2), {"lines": "3"})
        found = await saver.aget_tuple(config("t"))
        assert found is not None
        assert found.checkpoint["channel_values"]["lines"][-1] == "good"


class Halting(JsonPlusSerializer):
    """Serialises a list that ends with `last` only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go_on = threading.Event(), threading.Event()

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        if isinstance(obj, list) and obj[-1] == "last":
            self.reached.set()
            assert self.go_on.wait(WAIT_SECONDS)
        return super().dumps_typed(obj)


def test_closing_waits_for_what_is_serialised_on_another_thread(lasting_url: str) -> None:
    lines = ["word " * 100] * 3_000
    halting = Halting()
    saver = SQLAlchemySaver.from_conn_string(lasting_url, serde=halting)
    first = checkpoint({"lines": lines}, {"lines": "1"})
    where = saver.put(config("t"), first, metadata(0), {"lines": "1"})
    last = checkpoint({"lines": [*lines, "last"]}, {"lines": "2"})
    with ThreadPoolExecutor(2) as threads:
        putting = threads.submit(saver.put, where, last, metadata(1), {"lines": "2"})
        assert halting.reached.wait(WAIT_SECONDS)
        while not any(entry.encoding is not None for entry in saver.store._queue._pending.in_order()):
            pass
        closing = threads.submit(saver.close)
        while not saver.store._queue._closed:
            pass
        halting.go_on.set()
        putting.result(WAIT_SECONDS)
        closing.result(WAIT_SECONDS)
    with SQLAlchemySaver.from_conn_string(lasting_url) as again:
        found = again.get_tuple(config("t"))
        assert found is not None
        assert found.checkpoint["id"] == last["id"]
