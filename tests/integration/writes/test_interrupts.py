"""Callers that are interrupted at any bytecode: the saver goes on, and what it stores is whole and in order."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from tests.support.build import checkpoint, config, metadata
from tests.support.databases import url_of
from tests.support.interrupts import LOCKING, PACKAGE, Interrupter

#: Where callers meet worker threads: every bytecode. The rest only computes.
SHARED = [f"{PACKAGE}/{name}" for name in ("runtime", "db", "store", "writes", "values/lru.py", "values/cache.py")]
EVERYWHERE = Interrupter()
AT_SHARED = Interrupter([*SHARED, *LOCKING])

pytestmark = [
    # A coroutine that was interrupted before a loop took it.
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited"),
    # A connection that an interrupted caller had taken: Python 3.13 warns when it is collected.
    pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning"),
]


@pytest.fixture(autouse=True)
def collected_here() -> Iterator[None]:
    """Collect what was lost while its warnings are ignored."""
    yield
    gc.collect()


@pytest.fixture
def saver(url: str) -> Iterator[SQLAlchemySaver]:
    with SQLAlchemySaver.from_conn_string(url) as saver:
        saver.setup()
        yield saver


def putting(saver: SQLAlchemySaver, thread_id: str = "t") -> Callable[[], object]:
    """A call that puts a new checkpoint each time."""

    def put_one() -> None:
        made = checkpoint({"n": 1, "lines": ["a" * 40]})
        saver.put(config(thread_id), made, metadata(), made["channel_versions"])

    return put_one


def test_puts_that_are_interrupted_at_every_bytecode_leave_the_saver_usable(saver: SQLAlchemySaver) -> None:
    put_one = putting(saver)
    put_one()
    assert AT_SHARED.at_every(put_one) > 100
    before = len(list(saver.list(config("t"))))
    put_one()
    # What was interrupted was stored or not; the next one is.
    assert len(list(saver.list(config("t")))) > before


def test_a_put_that_is_interrupted_is_stored_whole_or_not_at_all(saver: SQLAlchemySaver) -> None:
    putting(saver)()
    EVERYWHERE.at_every(putting(saver, "whole"), stride=11)
    saver.put_writes(next(iter(saver.list(config("whole")))).config, [("n", 1)], "task")
    found = list(saver.list(config("whole")))
    assert found
    assert all(one.checkpoint["channel_values"] == {"n": 1, "lines": ["a" * 40]} for one in found)


@pytest.mark.parametrize("operation", ["get_tuple", "list", "put_writes", "delete_thread"])
def test_other_operations_that_are_interrupted_leave_the_saver_usable(saver: SQLAlchemySaver, operation: str) -> None:
    putting(saver)()
    where = saver.get_tuple(config("t"))
    assert where is not None
    calls: dict[str, Callable[[], object]] = {
        "get_tuple": lambda: saver.get_tuple(config("t")),
        "list": lambda: list(saver.list(config("t"))),
        "put_writes": lambda: saver.put_writes(where.config, [("n", 1)], "task"),
        "delete_thread": lambda: saver.delete_thread("none"),
    }
    assert AT_SHARED.at_every(calls[operation]) > 10
    putting(saver, "other")()
    assert saver.get_tuple(config("other")) is not None


class TimeIsUp(Exception):
    """What some job runners raise in a signal handler."""


def test_an_ordinary_exception_of_a_signal_handler_reaches_the_caller(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Also where the caller's own thread reads and writes the database, and repeats elsewhere what the database refuses."""
    with SQLAlchemySaver.from_conn_string(url_of("sqlite", request, tmp_path)) as saver:
        putting(saver)()
        where = saver.get_tuple(config("t"))
        assert where is not None
        interrupter = Interrupter(SHARED, TimeIsUp)
        for call in (
            putting(saver),
            lambda: saver.get_tuple(config("t")),
            lambda: saver.put_writes(where.config, [("n", 1)], "task"),
        ):
            assert interrupter.at_every(call, stride=13) > 10
        assert interrupter.swallowed == 0
        putting(saver, "other")()
        assert saver.get_tuple(config("other")) is not None
