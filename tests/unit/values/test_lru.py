"""A mapping of bounded length."""

from __future__ import annotations

from ckptstore.values.lru import Lru


def test_what_was_used_longest_ago_is_evicted_first() -> None:
    lru: Lru[str, int] = Lru(2)
    lru.put("a", 1)
    lru.put("b", 2)
    assert lru.get("a") == 1
    lru.put("c", 3)
    assert [lru.get(key) for key in "abc"] == [1, None, 3]


def test_a_new_value_is_put_only_where_there_is_none() -> None:
    lru: Lru[str, int] = Lru(2)
    lru.put("a", 1)
    lru.put_new("a", 2)
    lru.put_new("b", 3)
    assert [lru.get(key) for key in "ab"] == [1, 3]
    lru.drop("a")
    lru.drop("a")
    assert "a" not in lru
