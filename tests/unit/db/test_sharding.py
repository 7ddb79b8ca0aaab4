"""The keys of a statement, thread by thread."""

from __future__ import annotations

from ckptstore.db.sharding import for_each_thread
from ckptstore.db.sql.parameters import key_parameters


def test_each_thread_gets_its_own_keys_in_the_order_of_the_ids() -> None:
    keys = key_parameters("postgresql", ("thread_id", "digest"), [("b", "1"), ("a", "2"), ("b", "3")])
    assert list(for_each_thread({**keys, "now": 7})) == [
        {"keys_thread_id": ["a"], "keys_digest": ["2"], "now": 7, "thread_id": "a"},
        {"keys_thread_id": ["b", "b"], "keys_digest": ["1", "3"], "now": 7, "thread_id": "b"},
    ]


def test_without_keys_there_is_nothing_to_execute() -> None:
    assert list(for_each_thread(key_parameters("postgresql", ("thread_id",), []))) == []
