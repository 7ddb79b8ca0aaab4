"""What is counted of a store's statements, and that counting ends."""

from __future__ import annotations

from pathlib import Path

from benchmarks.counting import counted
from ckptstore import SQLAlchemySaver
from ckptstore.db.connection import Db
from tests.support.build import chain, config


async def test_statements_rows_and_steps_are_counted_until_the_context_ends(tmp_path: Path) -> None:
    execute = Db.execute
    async with SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite") as saver:
        await chain(saver, "t", 60)
        with counted() as few:
            assert len(await saver.alist(config("t"), limit=10)) == 10
        with counted() as all_of_them:
            assert len(await saver.alist(config("t"))) == 60
        counts = (all_of_them.statements, all_of_them.rows, all_of_them.steps)
        assert len(await saver.alist(config("t"))) == 60
    assert Db.execute is execute
    assert (all_of_them.statements, all_of_them.rows, all_of_them.steps) == counts
    assert few.statements >= 1
    assert 10 <= few.rows < 60 <= all_of_them.rows
    assert 0 < few.steps < all_of_them.steps
