"""Many values as few parameters."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select

from ckptstore.db.sql.parameters import driver_type, key_parameters, keys_table, object_keys
from ckptstore.db.sql.tables import CHECKPOINT
from tests.support.statements import compiled


def test_a_table_of_keys_takes_what_its_parameters_send(kind: str) -> None:
    names = ("thread_id", "digest")
    sent = key_parameters(kind, names, [("t", "one"), ("t", 'two"')])
    assert compiled(kind, select(keys_table(kind, names))).parameters == sent.keys()
    arrays = {"keys_thread_id": ["t", "t"], "keys_digest": ["one", 'two"']}
    assert sent == ({"keys": json.dumps([["t", "one"], ["t", 'two"']])} if kind == "sqlite" else arrays)


def test_no_keys_are_an_empty_table(kind: str) -> None:
    nothing: dict[str, Any] = {"keys": "[]"} if kind == "sqlite" else {"keys_a": [], "keys_b": []}
    assert key_parameters(kind, ("a", "b"), []) == nothing
    assert object_keys(kind, iter(["x"])) == ({"keys": '[["x"]]'} if kind == "sqlite" else {"keys_key": ["x"]})


def test_times_are_sent_as_integers() -> None:
    assert driver_type(CHECKPOINT.c.created_at).python_type is int
    assert driver_type(CHECKPOINT.c.thread_id) is CHECKPOINT.c.thread_id.type
