"""Savers that are read by their methods; tests/langgraph/test_import_from.py has graphs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidSource
from tests.langgraph.imports.test_official_sqlite import contents, fill
from tests.support.build import checkpoint, config, metadata
from tests.support.memory import at_most
from tests.support.transfers import threads_of


class OneThreadOnly(InMemorySaver):
    """A saver that lists one thread at a time, as some do."""

    def list(self, config: Any, **options: Any) -> Any:
        if config is None:
            raise ValueError("a thread id is required")
        return super().list(config, **options)


def test_threads_are_chosen(tmp_path: Path) -> None:
    memory = InMemorySaver()
    fill(memory)
    with SQLAlchemySaver.from_conn_string(tmp_path / "ours.sqlite") as ours:
        assert ours.import_from(memory, filter={"user_id": "u1"}).threads == 1
        assert ours.import_from(memory, threads=["t0"], newest=2).threads == 1
        assert threads_of(ours) == ["t0", "t1"]
        assert len(list(ours.list(config("t0")))) == 2


def test_writes_that_come_later_are_brought(tmp_path: Path) -> None:
    memory = InMemorySaver()
    fill(memory, 1)
    with SQLAlchemySaver.from_conn_string(tmp_path / "ours.sqlite") as ours:
        ours.import_from(memory)
        found: Any = memory.get_tuple(config("t0"))
        memory.put_writes(found.config, [("n", 9)], "zz later", "~z")
        assert ours.import_from(memory).writes == 1
        assert contents(ours) == contents(memory)


def test_a_saver_that_lists_no_threads_needs_their_names(tmp_path: Path) -> None:
    limited = OneThreadOnly()
    fill(limited)
    with SQLAlchemySaver.from_conn_string(tmp_path / "ours.sqlite") as ours:
        with pytest.raises(InvalidSource, match="name the threads to import"):
            ours.import_from(limited)
        assert ours.import_from(limited, threads=["t1", "nobody"]).threads == 1


def test_a_long_thread_is_read_some_checkpoints_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckptstore.langgraph.imports.any_saver._CHECKPOINTS_PER_PAGE", 2)
    memory = InMemorySaver()
    where = config("t")
    for step in range(60):
        made = checkpoint({"text": os.urandom(250_000).hex(), "n": step}, dict.fromkeys(("text", "n"), f"{step:08}.x"))
        where = memory.put(where, made, metadata(step), made["channel_versions"])
    with SQLAlchemySaver.from_conn_string(tmp_path / "ours.sqlite") as ours:
        ours.import_from(memory, threads=["nobody"])
        # 30 MB pass.
        with at_most(10_000_000):
            assert ours.import_from(memory, verify="none").checkpoints == 60
        assert contents(ours) == contents(memory)
