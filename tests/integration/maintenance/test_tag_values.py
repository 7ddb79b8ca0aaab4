"""The texts of tags go with the last tag that has them."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from ckptstore import RetentionPolicy, SQLAlchemySaver
from ckptstore.tags.keys import TagKeys
from tests.support.build import chain

pytestmark = pytest.mark.parametrize("url", ["asyncpg", "psycopg"], indirect=True)


def values(saver: SQLAlchemySaver, key: str = "user") -> list[str]:
    rows = saver.store.runner.read(lambda db: db.execute(f"SELECT value FROM ckpt_tag_value WHERE key = '{key}'").all()).result()
    return sorted(value for (value,) in rows)


async def fill(saver: SQLAlchemySaver) -> None:
    for thread_id, user in (("t", "ann"), ("u", "ann"), ("v", "bob")):
        await chain(saver, thread_id, 2, user=user)


async def test_a_prune_deletes_what_no_tag_has(saver: SQLAlchemySaver) -> None:
    await fill(saver)
    for thread_id in ("t", "v"):
        await saver.adelete_thread(thread_id)
    assert values(saver) == ["sann", "sbob"]
    await saver.aprune_by(RetentionPolicy(keep_last=5))
    assert values(saver) == ["sann"]
    await fill(saver)
    assert [len(await saver.alist(None, filter={"user": user})) for user in ("ann", "bob")] == [6, 2]


async def test_an_erasure_deletes_them_at_once(saver: SQLAlchemySaver) -> None:
    await fill(saver)
    report = await saver.aerase({"user": "bob"})
    assert (report.threads, report.tag_values_left) == (["v"], False)
    assert values(saver) == ["sann"]


async def test_they_are_left_where_others_never_stop_writing(saver: SQLAlchemySaver, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckptstore.store.erasing._LOCK_ATTEMPTS", 2)
    await fill(saver)
    with psycopg.connect(url.replace("+asyncpg", "").replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE ckpt_tag_posting IN ROW EXCLUSIVE MODE")
        assert (await saver.aerase({"user": "bob"})).tag_values_left
        assert values(saver) == ["sann", "sbob"]
    await saver.aprune_by(RetentionPolicy(max_age=timedelta(days=9)))
    assert values(saver) == ["sann"]


async def test_a_rebuild_with_fewer_keys_deletes_theirs(saver: SQLAlchemySaver, url: str) -> None:
    await fill(saver)
    async with SQLAlchemySaver.from_conn_string(url, tag_keys=TagKeys(exclude=["user"])) as other:
        await other.arebuild_tags()
        assert values(other) == []
        assert values(other, "step") != []
