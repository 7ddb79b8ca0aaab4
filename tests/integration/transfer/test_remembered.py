from __future__ import annotations

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.transfer.remembered import Remembered, forget, remember, remembered


@pytest.fixture
def saver(lasting_url: str) -> SQLAlchemySaver:
    saver = SQLAlchemySaver.from_conn_string(lasting_url)
    saver.setup()
    return saver


def test_threads_are_remembered_and_forgotten(saver: SQLAlchemySaver) -> None:
    first, second = Remembered([1, 2], [3, 4], "x", "here"), Remembered(None, [5], "y", "there")
    with saver:
        write, read = saver.store.runner.write, saver.store.runner.read
        write(lambda db: remember(db, {"a": first, "ü\n": first})).result()
        write(lambda db: remember(db, {"a": second})).result()
        assert read(lambda db: remembered(db, ["a", "ü\n", "c"])).result() == {"a": second, "ü\n": first}
        write(lambda db: forget(db, "a")).result()
        assert read(lambda db: remembered(db, ["a"])).result() == {}
        names = read(lambda db: db.execute("SELECT name FROM ckpt_setting").all()).result()
        assert not any("ü" in name for (name,) in names)
