"""A state full of texts that look like handles costs one statement and one line of the log, and hides no handle."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.errors import CheckpointTooLarge
from ckptstore.langgraph import serialise
from tests.support.build import config, put


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Counter[Any]:
    """How often each statement ran, by the function that builds it."""
    counts: Counter[Any] = Counter()
    run = Db.run

    def counted(self: Db, build: Any, *args: Any) -> Any:
        counts[build] += 1
        return run(self, build, *args)

    monkeypatch.setattr(Db, "run", counted)
    return counts


def lookalikes(count: int) -> str:
    return " ".join(f"ckptblob:{n:08x}{0:056x}" for n in range(count))


async def test_all_of_them_are_looked_up_by_one_statement(
    url: str, tmp_path: Path, statements: Counter[Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with SQLAlchemySaver.from_conn_string(url, blob_url=tmp_path / "blobs") as saver:
        refs = [await saver.blobs.put(bytes([n]) * 10) for n in range(3)]
        await saver.acollect()
        statements.clear()
        caplog.clear()
        await put(saver, config("t"), {"messages": [refs[0], lookalikes(20_000), refs[1].id, refs[2]]})
        # One for the handles, and one for the text itself, which is so large that it is uploaded.
        assert statements[sql.objects.objects_with_digests] == 2
        (record,) = [record for record in caplog.records if record.__dict__.get("event") == "handle_dangling"]
        assert record.__dict__["count"] == 20_000
        # The handles among them keep their blobs.
        for _ in range(3):
            await saver.acollect(grace=timedelta(0))
        assert [await saver.blobs.get(ref) for ref in refs] == [bytes([n]) * 10 for n in range(3)]


async def test_a_value_has_a_greatest_number_of_them(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serialise, "MAX_HANDLES", 100)
    await put(saver, config("t"), {"a": lookalikes(100) * 2, "b": lookalikes(100)})
    with pytest.raises(CheckpointTooLarge, match="101 handles to blobs, or texts that look like them, more than 100"):
        await put(saver, config("t"), {"a": lookalikes(101)})
    with pytest.raises(CheckpointTooLarge, match="101 handles"):
        await saver.aput_writes(config("t", "c"), [("a", lookalikes(101))], "task")
    assert len(await saver.alist(None)) == 1
