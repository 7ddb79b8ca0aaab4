"""The contract of `BlobBackend` as a test suite."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from ckptstore.blobs.backends.protocol import BlobBackend, BlobEntry
from ckptstore.errors import BlobCorrupt, BlobMissing, BlobUnavailable

_MEBIBYTE = 1024 * 1024
_LARGE_BYTES = 64 * _MEBIBYTE
# As many bytes as the largest object has.
_ENOUGH = 2**26


class BlobBackendConformance:
    """One test for each guarantee of `BlobBackend`. Needs a fixture `backend` that returns an open and empty backend.

    Attributes:
        stores_outside_process: whether the objects are outside this process's memory. If not, the test that a file is never
            read into memory as a whole is skipped.
    """

    stores_outside_process = True

    async def test_reads_return_what_was_stored(self, backend: BlobBackend) -> None:
        for number, size in enumerate((0, 1, 5_000_000)):
            content = _content(size)
            await backend.put(_key(number), content)
            assert await backend.get(_key(number), _ENOUGH) == content
            assert await backend.size(_key(number)) == size

    async def test_a_memoryview_slice_is_stored(self, backend: BlobBackend) -> None:
        content = _content(100_000)
        await backend.put(_key(0), memoryview(content)[1_000:60_000])
        await backend.put(_key(1), memoryview(content)[5:5])
        assert await backend.get(_key(0), _ENOUGH) == content[1_000:60_000]
        assert await backend.get(_key(1), _ENOUGH) == b""

    async def test_changing_the_callers_buffer_later_does_not_change_the_object(self, backend: BlobBackend) -> None:
        memory = bytearray(b"before")
        await backend.put(_key(0), memoryview(memory))
        memory[:] = b"after!"
        assert await backend.get(_key(0), _ENOUGH) == b"before"

    async def test_reads_return_the_file_that_was_stored(self, backend: BlobBackend, tmp_path: Path) -> None:
        source, target = tmp_path / "source", tmp_path / "target"
        for number, size in enumerate((0, 1, 23_000_001)):
            source.write_bytes(_content(size))
            await backend.put_file(_key(number), source)
            await backend.get_file(_key(number), target, _ENOUGH)
            assert target.read_bytes() == source.read_bytes()
            assert await backend.size(_key(number)) == size

    async def test_files_and_bytes_are_interchangeable(self, backend: BlobBackend, tmp_path: Path) -> None:
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_bytes(b"from a file")
        await backend.put_file(_key(0), source)
        await backend.put(_key(1), b"from memory")
        target.write_bytes(b"what was there before, and longer")
        await backend.get_file(_key(1), target, _ENOUGH)
        assert await backend.get(_key(0), _ENOUGH) == b"from a file"
        assert target.read_bytes() == b"from memory"

    async def test_a_large_file_is_not_read_into_memory(self, backend: BlobBackend, tmp_path: Path) -> None:
        if not self.stores_outside_process:
            _skip("the backend stores objects in this process's memory")
        source, target = tmp_path / "source", tmp_path / "target"
        with source.open("wb") as file:
            file.truncate(_LARGE_BYTES)
        tracemalloc.start()
        try:
            await backend.put_file(_key(0), source)
            await backend.get_file(_key(0), target, _ENOUGH)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert target.stat().st_size == _LARGE_BYTES
        assert peak < _LARGE_BYTES // 2

    async def test_reading_a_missing_object_raises_blob_missing_with_key_and_url(self, backend: BlobBackend, tmp_path: Path) -> None:
        await backend.put(_key(0), b"another")
        for call in (lambda: backend.get(_key(1), _ENOUGH), lambda: backend.get_file(_key(1), tmp_path / "target", _ENOUGH)):
            error = await _expect_error(BlobMissing, call)
            assert _key(1) in str(error)
            assert backend.url in str(error)
        assert await backend.size(_key(1)) is None

    async def test_an_object_that_is_longer_than_expected_is_refused(self, backend: BlobBackend, tmp_path: Path) -> None:
        for content, max_bytes in ((_content(3_000_000), 2_999_999), (_content(3_000_000), 10), (b"x", 0)):
            await backend.put(_key(0), content)
            reads = (partial(backend.get, _key(0), max_bytes), partial(backend.get_file, _key(0), tmp_path / "target", max_bytes))
            for call in reads:
                error = await _expect_error(BlobCorrupt, call)
                assert _key(0) in str(error)
                assert backend.url in str(error)
        await backend.put(_key(0), b"content")
        assert await backend.get(_key(0), 7) == b"content"
        await backend.get_file(_key(0), tmp_path / "target", 7)

    async def test_an_empty_backend_has_no_objects(self, backend: BlobBackend) -> None:
        assert [entry async for entry in backend.entries()] == []
        assert await backend.size(_key(0)) is None
        await _expect_error(BlobMissing, lambda: backend.get(_key(0), _ENOUGH))

    async def test_a_key_prefix_is_not_an_object(self, backend: BlobBackend) -> None:
        await backend.put(_key(0), b"content")
        assert await backend.size(_key(0).partition("/")[0]) is None

    async def test_delete_is_idempotent(self, backend: BlobBackend) -> None:
        await backend.put(_key(0), b"deleted")
        await backend.put(_key(1), b"kept!")
        await backend.delete(_key(0))
        await backend.delete(_key(0))
        await _expect_error(BlobMissing, lambda: backend.get(_key(0), _ENOUGH))
        assert await backend.size(_key(0)) is None
        assert [entry async for entry in backend.entries()] == [BlobEntry(_key(1), 5)]

    async def test_a_deleted_object_can_be_stored_again(self, backend: BlobBackend) -> None:
        await backend.put(_key(0), b"content")
        await backend.delete(_key(0))
        await backend.put(_key(0), b"content")
        assert await backend.get(_key(0), _ENOUGH) == b"content"

    async def test_entries_lists_keys_and_sizes(self, backend: BlobBackend, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"x" * 1_000)
        for number in range(40):
            await backend.put(_key(number), b"x" * number)
        await backend.put_file(_key(40), tmp_path / "file")
        expected = sorted([BlobEntry(_key(number), number) for number in range(40)] + [BlobEntry(_key(40), 1_000)])
        assert sorted([entry async for entry in backend.entries()]) == expected

    async def test_objects_can_be_deleted_during_a_listing(self, backend: BlobBackend) -> None:
        for number in range(5):
            await backend.put(_key(number), b"content")
        async for key, _ in backend.entries():
            await backend.delete(key)
        assert [entry async for entry in backend.entries()] == []

    async def test_fifty_concurrent_operations(self, backend: BlobBackend) -> None:
        contents = {_key(number): _content(10_000 + number) for number in range(50)}
        await asyncio.gather(*[backend.put(key, content) for key, content in contents.items()])
        found = await asyncio.gather(*[backend.get(key, _ENOUGH) for key in contents])
        assert found == list(contents.values())

    async def test_concurrent_readers_of_one_object(self, backend: BlobBackend, tmp_path: Path) -> None:
        content = _content(300_000)
        await backend.put(_key(0), content)
        targets = [tmp_path / str(number) for number in range(8)]
        to_files = [backend.get_file(_key(0), target, _ENOUGH) for target in targets]
        await asyncio.gather(*to_files, *[backend.get(_key(0), _ENOUGH) for _ in targets])
        assert all(target.read_bytes() == content for target in targets)

    async def test_deleting_unfinished_uploads_deletes_no_object(self, backend: BlobBackend) -> None:
        await backend.put(_key(0), b"content")
        assert await backend.delete_unfinished(0, dry_run=True) == 0
        assert await backend.delete_unfinished(0, dry_run=False) == 0
        assert await backend.get(_key(0), _ENOUGH) == b"content"

    async def test_put_is_idempotent(self, backend: BlobBackend) -> None:
        await asyncio.gather(*[backend.put(_key(0), b"content") for _ in range(5)])
        await backend.put(_key(0), b"content")
        assert await backend.get(_key(0), _ENOUGH) == b"content"
        assert [entry async for entry in backend.entries()] == [BlobEntry(_key(0), 7)]

    async def test_an_invalid_source_path_raises_the_os_error(self, backend: BlobBackend, tmp_path: Path) -> None:
        await _expect_error(FileNotFoundError, lambda: backend.put_file(_key(0), tmp_path / "absent"))
        await _expect_error(IsADirectoryError, lambda: backend.put_file(_key(0), tmp_path))
        assert await backend.size(_key(0)) is None

    async def test_an_invalid_target_path_raises_the_os_error(self, backend: BlobBackend, tmp_path: Path) -> None:
        await backend.put(_key(0), b"content")
        await _expect_error(FileNotFoundError, lambda: backend.get_file(_key(0), tmp_path / "absent" / "target", _ENOUGH))
        await _expect_error(IsADirectoryError, lambda: backend.get_file(_key(0), tmp_path, _ENOUGH))

    async def test_invalid_keys_are_rejected(self, backend: BlobBackend, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"content")
        for key in _INVALID_KEYS:
            for call in _every_call(backend, key, tmp_path):
                error = await _expect_error(BlobUnavailable, call)
                assert isinstance(error, BlobUnavailable)
                assert not error.transient
        assert [entry async for entry in backend.entries()] == []

    async def test_close_is_idempotent(self, backend: BlobBackend) -> None:
        await backend.put(_key(0), b"content")
        await backend.close()
        await backend.close()


_INVALID_KEYS = (
    "", "/", "/etc/passwd", "..", "../outside", "ab/../../outside", "ab//cd", "ab/", "./ab", "ab/./cd", "ab\\..\\cd", "ab/c\0d", "ab/c\nd",
    "ab/.hidden", "ab/*", "ab/c?versionId=1", "file://ab", "~/ab", "a" * 2_000,
)  # fmt: skip


def _key(number: int) -> str:
    return f"{number * 37 % 256:02x}/{number:064x}-0f"


def _every_call(backend: BlobBackend, key: str, folder: Path) -> list[Callable[[], Awaitable[object]]]:
    return [
        lambda: backend.put(key, b"content"),
        lambda: backend.put_file(key, folder / "file"),
        lambda: backend.get(key, _ENOUGH),
        lambda: backend.get_file(key, folder / "target", _ENOUGH),
        lambda: backend.size(key),
        lambda: backend.delete(key),
    ]


def _content(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311


async def _expect_error(kind: type[Exception], call: Callable[[], Awaitable[object]]) -> Exception:
    try:
        await call()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, but nothing was raised")


def _skip(reason: str) -> None:
    import pytest

    pytest.skip(reason)
