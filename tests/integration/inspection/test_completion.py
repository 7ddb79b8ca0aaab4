"""Tags that a filter can ask for."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.inspection.completion import TagValues, tag_keys_like, tag_values_like
from ckptstore.runtime.steps import drive_async
from tests.support.build import config, put


@pytest.fixture
async def filled(saver: SQLAlchemySaver) -> SQLAlchemySaver:
    for number in range(40):
        more: dict[str, Any] = {"user_id": f"user-{number % 7}", "n": number % 3, "tags": ["b", "a"], "user": {"na/me": "ann"}}
        await put(saver, config(f"t{number}"), step=number, **more)
    odd: dict[str, Any] = {"x" * 300: 1, "long": "y" * 300, "empty": [], "flag": True, "nothing": None}
    await put(saver, config("odd"), **odd)
    return saver


async def test_keys_are_listed_once_each(filled: SQLAlchemySaver) -> None:
    found = await drive_async(tag_keys_like(filled.store, "", 100))
    assert found == sorted(found)
    assert {"user_id", "n", "tags[]", "user/na~1me", "flag", "nothing", "empty", "long"} <= set(found)
    assert not any(key.startswith("xxx") for key in found)
    assert await drive_async(tag_keys_like(filled.store, "user", 100)) == ["user/na~1me", "user_id"]
    assert await drive_async(tag_keys_like(filled.store, "", 2)) == found[:2]
    assert await drive_async(tag_keys_like(filled.store, "zzz", 2)) == []


async def test_values_are_listed_once_each_with_their_types(filled: SQLAlchemySaver) -> None:
    async def values(key: str, beginning: str = "", count: int = 10) -> TagValues:
        return await drive_async(tag_values_like(filled.store, key, beginning, count))

    assert await values("user_id") == ([f"user-{n}" for n in range(7)], False)
    assert await values("user_id", "user-3") == (["user-3"], False)
    assert await values("user_id", count=2) == (["user-0", "user-1"], True)
    assert await values("n") == ([0, 1, 2], False)
    assert await values("tags[]") == (["a", "b"], False)
    assert await values("flag") == ([True], False)
    assert await values("nothing") == ([None], False)
    # What the index has only the beginning of, and what has no value, can't be asked for so.
    for key in ("long", "empty", "no such key"):
        assert await values(key) == ([], False)
