"""Only a silent server is asked whether it is being upgraded, and not waited for."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, NoReturn

import pytest

from ckptstore.db import upgrade_explained
from ckptstore.db.error_mapping import ServerSilent
from ckptstore.db.upgrade_explained import explaining_upgrades
from ckptstore.errors import DatabaseUnavailable, UpgradeUnderWay


async def fail(cause: Exception) -> str:
    raise DatabaseUnavailable("silent") from cause


async def never(*_: Any) -> NoReturn:
    raise AssertionError("nobody asks")


async def test_a_result_and_another_failure_are_passed_on() -> None:
    assert await explaining_upgrades(lambda: asyncio.sleep(0, "done"), never) == "done"
    with pytest.raises(DatabaseUnavailable, match=r"^silent$"):
        await explaining_upgrades(partial(fail, OSError()), never)


async def test_the_time_of_an_upgrade_is_named() -> None:
    with pytest.raises(UpgradeUnderWay, match=r"since 2026-01-02 03:04:05 UTC, .*\(silent\)") as caught:
        await explaining_upgrades(partial(fail, ServerSilent(5)), lambda *_: asyncio.sleep(0, "2026-01-02 03:04:05"))
    assert isinstance(caught.value.__cause__, ServerSilent)
    assert caught.value.transient


async def test_a_server_that_stays_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade_explained, "_LOOK_SECONDS", 0.0)
    for answer in (asyncio.sleep(3600, "late"), asyncio.sleep(0, None)):
        with pytest.raises(DatabaseUnavailable, match=r"^silent$"):
            await explaining_upgrades(partial(fail, ServerSilent(5)), lambda *_, answer=answer: answer)
