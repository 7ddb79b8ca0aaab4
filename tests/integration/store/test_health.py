"""`saver.health()`: what fails is named, nothing is raised, and it ends within its bound."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ckptstore import DatabaseSettings, HealthReport, SQLAlchemySaver
from ckptstore.errors import BlobUnavailable
from ckptstore.testing import FailingBackend, PausingBackend
from tests.support.build import config, put
from tests.support.databases import new_database
from tests.support.rows import rows


def failed(report: HealthReport) -> dict[str, str]:
    """The messages of the checks that failed; the report says the same."""
    found = {check.name: check.message for check in report.checks if not check.ok}
    assert bool(report) == report.ok == (not found)
    assert [check.name for check in report.checks] == ["schema", "write", "blobs"]
    return found


async def test_a_saver_that_can_be_used(saver: SQLAlchemySaver) -> None:
    await saver.setup()
    before = rows(saver)
    report = await saver.ahealth()
    assert failed(report) == {}
    assert "rolled back" in report.checks[1].message
    assert rows(saver) == before
    await put(saver, config("t"))
    assert "stored" in (await saver.ahealth()).checks[1].message


def test_without_an_event_loop(lasting_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        assert failed(saver.health()) == {}


async def test_a_database_without_a_schema(postgres_url: str) -> None:
    with new_database(postgres_url) as url:
        async with SQLAlchemySaver.from_conn_string(url) as saver:
            found = failed(await saver.ahealth())
    assert found.keys() == {"schema", "write"}
    assert "ckptstore upgrade" in found["schema"]


async def test_a_server_that_is_not_there() -> None:
    url = "postgresql://user:geheim@127.0.0.1:1/nothing"
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        found = failed(await saver.ahealth())
    assert found.keys() == {"schema", "write"}
    assert "geheim" not in str(found)


async def test_a_database_that_takes_no_writes(tmp_path: Path) -> None:
    path = str(tmp_path / "checkpoints.sqlite")
    async with SQLAlchemySaver.from_conn_string(path, settings=DatabaseSettings(retry_seconds=60)) as saver:
        await saver.setup()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        report = await saver.ahealth(within_seconds=0.3)
        assert failed(report).keys() == {"write"}
        assert "no answer within" in failed(report)["write"]
        # It left the queue, or will when its attempt ends.
        other.rollback()
        other.close()
        assert failed(await saver.ahealth(within_seconds=30)) == {}


async def test_a_backend_that_fails_or_does_not_answer(tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(str(tmp_path / "checkpoints.sqlite")) as saver:
        await saver.setup()
        real = saver.store.objects.backend
        failing = FailingBackend(real)
        failing.fail("size", BlobUnavailable("no such bucket", transient=False))
        saver.store.objects._backend = failing
        assert failed(await saver.ahealth()) == {"blobs": "no such bucket"}
        saver.store.objects._backend = pausing = PausingBackend(real)
        with pausing.pause("size"):
            found = failed(await saver.ahealth(within_seconds=0.2))
        assert "no answer within" in found["blobs"]


async def test_what_has_no_translation_is_named_without_its_text(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    await saver.setup()

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("geheim")

    monkeypatch.setattr(saver.store, "run_in_queue", fail)
    assert failed(await saver.ahealth()) == {"write": "failed with RuntimeError"}


async def test_a_closed_saver(lasting_url: str) -> None:
    saver = SQLAlchemySaver.from_conn_string(lasting_url)
    await saver.setup()
    await saver.aclose()
    assert failed(saver.health()).keys() >= {"schema", "write"}
    assert saver.store.idle_seconds == math.inf
