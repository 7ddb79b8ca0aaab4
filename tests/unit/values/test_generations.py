"""A cache in two generations holds what is used, within its bound."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ckptstore.runtime import fork
from ckptstore.values.generations import GenerationCache


def cache_of(max_bytes: int) -> GenerationCache[bytes]:
    return GenerationCache(max_bytes, lambda key, value: len(key) + len(value))


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 60)), max_size=80))
def test_the_bound_holds_and_nothing_false_is_known(steps: list[tuple[int, int]]) -> None:
    cache = cache_of(100)
    for number, length in steps:
        key = b"%d" % number
        [found] = cache.get_all([key])
        assert found in (None, key * 2)
        if length % 2:
            cache.add(key, key * 2)
        cache.add(b"other %d" % number, b"x" * length)
        assert cache.size_bytes <= 100


def test_what_is_used_stays_and_what_is_not_leaves() -> None:
    cache = cache_of(100)
    cache.add(b"used", b"u")
    cache.add(b"idle", b"i")
    for n in range(50):
        cache.add(b"%3d" % n, b"x" * 7)
        assert cache.get_all([b"used"]) == [b"u"]
    assert cache.get_all([b"idle", b"used"]) == [None, b"u"]


def test_what_fills_more_than_a_generation_is_known_whole() -> None:
    cache = cache_of(1_000)
    keys = [b"%3d" % n for n in range(80)]
    for key in keys:
        cache.add(key, b"x" * 7)
    for _ in range(5):
        assert None not in cache.get_all(keys)


def test_a_value_that_is_too_large_is_not_kept() -> None:
    cache = cache_of(100)
    cache.add(b"small", b"s")
    cache.add(b"large", b"x" * 60)
    assert cache.get_all([b"small", b"large"]) == [b"s", None]


def test_worker_threads_share_a_cache() -> None:
    cache = cache_of(10_000)

    def work(seed: int) -> bool:
        keys = [b"%d" % ((seed + n) % 500) for n in range(500)]
        for key in keys:
            cache.add(key, key * 3)
        return all(value in (None, key * 3) for key, value in zip(keys, cache.get_all(keys), strict=True))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(0, 400, 10)))
    assert cache.size_bytes <= 10_000


def test_a_child_of_a_fork_gets_a_lock_of_its_own(monkeypatch: Any) -> None:
    hooks = fork._Hooks()
    monkeypatch.setattr(fork, "_in_child", hooks)
    cache = cache_of(100)
    with cache._lock:
        hooks.call()
        cache.add(b"k", b"v")
    assert cache.get_all([b"k"]) == [b"v"]


def test_a_value_can_be_replaced() -> None:
    cache: GenerationCache[bytes] = GenerationCache(1_000, lambda key, value: len(key) + len(value))
    cache.add(b"a", b"1" * 100)
    cache.add(b"a", b"2")
    assert cache.get_all([b"a"]) == [b"1" * 100]
    cache.add(b"a", b"2", replace=True)
    assert cache.get_all([b"a"]) == [b"2"]
    assert cache.size_bytes == 2
    cache.add(b"b", b"3" * 497, replace=True)
    assert cache.get_all([b"a", b"b"]) == [b"2", b"3" * 497]
