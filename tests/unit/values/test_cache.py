"""The caches of blobs in memory and in a folder."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptstore.values.cache import FolderCache, MemoryCache


def test_what_was_used_longest_ago_is_evicted_first() -> None:
    cache = MemoryCache(30)
    for name in "abc":
        cache.put(name, name.encode() * 10)
    assert cache.get("a") == b"a" * 10
    # To ask whether it is there is no use.
    assert "b" in cache
    cache.put("d", b"d" * 10)
    assert [cache.get(name) is not None for name in "abcd"] == [True, False, True, True]
    assert [name in cache for name in "abcd"] == [True, False, True, True]


def test_a_large_blob_takes_the_place_of_several() -> None:
    cache = MemoryCache(30)
    for name in "abc":
        cache.put(name, name.encode() * 10)
    cache.put("d", b"d" * 20)
    assert [cache.get(name) is not None for name in "abcd"] == [False, False, True, True]


def test_what_is_larger_than_the_cache_displaces_nothing() -> None:
    cache = MemoryCache(30)
    cache.put("a", b"a" * 30)
    cache.put("b", b"b" * 31)
    assert cache.get("a") == b"a" * 30
    assert cache.get("b") is None


def test_a_cache_of_no_bytes_keeps_none() -> None:
    cache = MemoryCache(0)
    cache.put("a", b"a")
    cache.put("b", b"")
    assert cache.get("a") is None
    assert cache.get("b") is None


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 60), st.booleans()), max_size=60))
def test_the_memory_cache_holds_what_a_model_holds(steps: Sequence[tuple[str, int, bool]]) -> None:
    cache, model = MemoryCache(100), dict[str, bytes]()
    for name, size, is_put in steps:
        if is_put and size > 0:
            data = bytes([size]) * size
            cache.put(name, data)
            model.pop(name, None)
            model[name] = data
            while sum(map(len, model.values())) > 100:
                del model[next(iter(model))]
        elif not is_put:
            assert cache.get(name) == model.get(name)
            if name in model:
                model[name] = model.pop(name)
    assert {name: cache.get(name) for name in "abcdefgh" if cache.get(name) is not None} == model


def digest(name: str) -> str:
    """A name as long as those that segments have."""
    return name.rjust(43, "0")


def file_of(name: str) -> str:
    """The name of the file that keeps it."""
    return f"{digest(name)}.blob"


def sizes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def names(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(".blob").lstrip("0") for path in folder.iterdir())


def used(folder: Path, name: str, moment: int) -> None:
    """Let a file have been used at a moment, long ago."""
    os.utime(folder / file_of(name), (moment, moment))


def test_a_folder_is_made_and_outlives_its_cache(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    FolderCache(folder, 100).put(digest("x"), b"content")
    assert FolderCache(folder, 100).get(digest("x"), 100) == b"content"
    assert names(folder) == ["x"]


def test_the_files_used_longest_ago_go_first(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path, 40)
    for moment, name in enumerate("abcd"):
        cache.put(digest(name), name.encode() * 10)
        used(tmp_path, name, 1_000 + moment)
    assert cache.get(digest("a"), 100) == b"a" * 10
    cache.put(digest("e"), b"e" * 10)
    assert names(tmp_path) == ["a", "c", "d", "e"]
    used(tmp_path, "a", 2_000)
    used(tmp_path, "e", 2_001)
    cache.put(digest("f"), b"f" * 20)
    assert names(tmp_path) == ["a", "e", "f"]


def test_a_folder_stays_within_its_bytes(tmp_path: Path) -> None:
    cache, noise = FolderCache(tmp_path, 1_000), random.Random(7)
    for moment in range(300):
        name = f"blob {noise.randrange(60)}"
        cache.put(digest(name), b"x" * noise.randrange(1, 400))
        assert sizes(tmp_path) <= 1_000
        assert (tmp_path / file_of(name)).exists()
        used(tmp_path, name, 1_000 + moment)


def test_what_is_larger_than_the_folder_may_be_is_not_kept(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path, 10)
    cache.put(digest("a"), b"a" * 10)
    cache.put(digest("b"), b"b" * 11)
    assert names(tmp_path) == ["a"]


def test_a_vanished_file_is_just_not_there(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path, 100)
    cache.put(digest("a"), b"a")
    (tmp_path / file_of("a")).unlink()
    assert cache.get(digest("a"), 100) is None
    cache.remove(digest("a"))
    cache.put(digest("a"), b"again")
    assert cache.get(digest("a"), 100) == b"again"


def test_a_vanished_folder_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cache = FolderCache(folder, 100)
    cache.put(digest("a"), b"a")
    (folder / file_of("a")).unlink()
    folder.rmdir()
    assert cache.get(digest("a"), 100) is None
    cache.put(digest("b"), b"b")
    assert cache.get(digest("b"), 100) == b"b"


def test_a_folder_that_vanishes_while_room_is_made_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FolderCache(tmp_path / "cache", 100)

    def vanished(*_args: Any) -> Any:
        raise FileNotFoundError("gone")

    monkeypatch.setattr("ckptstore.values.cache.os.scandir", vanished)
    cache.put(digest("a"), b"a")


def test_an_altered_file_is_given_as_it_is_and_can_be_dropped(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path, 100)
    cache.put(digest("a"), b"a")
    (tmp_path / file_of("a")).write_bytes(b"altered")
    assert cache.get(digest("a"), 100) == b"altered"
    cache.remove(digest("a"))
    assert cache.get(digest("a"), 100) is None
    assert names(tmp_path) == []


@pytest.mark.parametrize("below", [".", "deeper/still"])
def test_a_folder_that_can_not_be_made_keeps_nothing(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_bytes(b"somebody's")
    cache = FolderCache(tmp_path / "file" / below, 100)
    cache.put(digest("a"), b"a")
    assert cache.get(digest("a"), 100) is None
    cache.remove(digest("a"))
    assert (tmp_path / "file").read_bytes() == b"somebody's"


@pytest.mark.parametrize(
    "step", ["ckptstore.values.cache.make_private_folder", "ckptstore.values.cache.open_private", "pathlib.Path.replace"]
)
def test_a_disk_that_refuses_everything_is_no_fault(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_args: Any, **_more: Any) -> Any:
        raise OSError(30, "Read-only file system")

    cache = FolderCache(tmp_path, 10)
    cache.put(digest("a"), b"a" * 10)
    monkeypatch.setattr(step, refused)
    monkeypatch.setattr(Path, "unlink", refused)
    cache.put(digest("b"), b"b" * 10)
    cache.remove(digest("a"))
    assert cache.get(digest("a"), 100) == b"a" * 10
    assert cache.get(digest("b"), 100) is None


def test_a_file_that_can_not_be_deleted_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FolderCache(tmp_path, 10)
    cache.put(digest("a"), b"a" * 10)
    used(tmp_path, "a", 1_000)
    monkeypatch.setattr(Path, "unlink", lambda *_args, **_more: (_ for _ in ()).throw(PermissionError("not yours")))
    cache.put(digest("b"), b"b" * 10)
    assert cache.get(digest("b"), 100) == b"b" * 10


def test_what_the_cache_did_not_write_stays(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_bytes(b"x" * 1_000)
    (tmp_path / "photos").mkdir()
    os.utime(tmp_path / "thesis.txt", (1_000, 1_000))
    cache = FolderCache(tmp_path, 100)
    for n in range(20):
        cache.put(digest(f"{n}"), b"x" * 50)
    assert {"photos", "thesis.txt"} <= set(names(tmp_path))


def test_two_caches_share_a_folder(tmp_path: Path) -> None:
    one, other = FolderCache(tmp_path, 1_000), FolderCache(tmp_path, 1_000)
    one.put(digest("a"), b"a")
    assert other.get(digest("a"), 100) == b"a"
    other.remove(digest("a"))
    assert one.get(digest("a"), 100) is None


def test_two_caches_together_stay_within_the_bytes_of_their_folder(tmp_path: Path) -> None:
    caches = [FolderCache(tmp_path, 1_000) for _ in range(4)]
    for n in range(400):
        caches[n // 3 % 4].put(digest(f"{n}"), b"x" * 100)
        used(tmp_path, f"{n}", 1_000 + n)
        # Each looks again only after so many bytes of its own.
        assert sizes(tmp_path) <= 2 * 1_000


def test_many_threads_put_and_get_at_once(tmp_path: Path) -> None:
    caches = [FolderCache(tmp_path, 2_000) for _ in range(2)]
    wrong: list[Any] = []

    def work(seed: int) -> None:
        noise = random.Random(seed)
        try:
            for _ in range(100):
                name = noise.randrange(20)
                cache = caches[noise.randrange(2)]
                cache.put(digest(f"{name}"), bytes([name]) * 300)
                found = cache.get(digest(f"{name}"), 100)
                if found not in (None, bytes([name]) * 300):
                    wrong.append(name)
        except BaseException as exc:
            wrong.append(exc)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    caches[0].put(digest("99"), b"x" * 1_900)
    assert not [name for name in names(tmp_path) if name.endswith(".part")]


def test_files_that_a_killed_process_was_writing_are_removed_after_a_day(tmp_path: Path) -> None:
    old, fresh, other = (tmp_path / name for name in (".digest.01234567.part", ".digest.76543210.part", "other.part"))
    for path in (old, fresh, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (0, 0))
    FolderCache(tmp_path, 1_000).put("a", b"content")
    assert not old.exists()
    assert fresh.exists()
    assert other.exists()
    assert FolderCache(tmp_path, 1_000).get("a", 100) == b"content"
