"""Which keys the tag index has: one look-up in the index for each key."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from ckptstore.db.sql.parameters import key_parameters
from ckptstore.db.sql.tag_keys import KEY_AND_BELOW, keys_in_use
from tests.support.statements import compiled


def test_a_key_is_in_use_if_it_or_one_below_it_has_a_posting() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE ckpt_tag_posting (key, value)")
        connection.executemany("INSERT INTO ckpt_tag_posting VALUES (?, '')", [("source",), ("user/name",), ("userland",), ("a0",)])
        asked = [(name, f"{name}/", f"{name}0") for name in ("source", "user", "a", "absent")]
        parameters = key_parameters("sqlite", KEY_AND_BELOW, asked)
        found = connection.execute(compiled("sqlite", keys_in_use("sqlite")).text, [parameters["keys"]])
        assert {key for (key,) in found} == {"source", "user"}


def test_postgresql_looks_each_key_up_by_itself() -> None:
    found = compiled("postgresql", keys_in_use("postgresql"))
    assert found.parameters == {f"keys_{name}" for name in KEY_AND_BELOW}
    assert found.text.count("OFFSET 0") == 4
