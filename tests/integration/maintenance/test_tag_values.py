"""The texts of tags go when no checkpoint has them any more."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from ckptstore import RetentionPolicy, SQLAlchemySaver
from ckptstore.maintenance import tag_values
from tests.support.build import chain, config, put


def values(saver: SQLAlchemySaver) -> set[str]:
    return {value for (value,) in saver.store.runner.read(lambda db: db.execute("SELECT value FROM ckpt_tag_value").all()).result()}


async def test_a_prune_forgets_values_that_nobody_has(lasting_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_values, "_PAGE_SIZE", 2)
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for user in ("ann", "bob", "carl"):
            await chain(saver, user, 2, user=user)
        await saver.adelete_thread("ann")
        await saver.adelete_thread("carl")
        assert {"sann", "sbob", "scarl"} <= values(saver)
        await saver.aprune_by(RetentionPolicy(max_age=timedelta(days=1)))
        assert {"sann", "scarl"}.isdisjoint(values(saver))
        assert "sbob" in values(saver)
        assert len(await saver.alist(None, filter={"user": "bob"})) == 2


async def test_who_is_erased_leaves_no_value_behind(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await put(saver, config("t"), user="ann", parents={})
        await saver.aerase({"user": "ann"}, dry_run=True)
        assert "sann" in values(saver)
        await saver.aerase({"user": "ann"})
        assert "sann" not in values(saver)


async def test_a_value_that_a_transaction_under_way_may_need_stays(postgres_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(postgres_url) as saver:
        await put(saver, config("t"), user="ann", parents={})
        await saver.adelete_thread("t")
        with psycopg.connect(postgres_url) as other:
            # As a writer whose tag has that value, and has not committed.
            other.execute("INSERT INTO ckpt_tag_value (key, value) VALUES ('user', 'sann') ON CONFLICT DO NOTHING")
            await saver.aprune_by(RetentionPolicy(max_age=timedelta(days=1)))
            assert "sann" in values(saver)
        await saver.aprune_by(RetentionPolicy(max_age=timedelta(days=1)))
        assert "sann" not in values(saver)
