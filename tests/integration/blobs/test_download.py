"""The caches of what was read: bounded, in the order of use, and never believed without a look."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.blobs.settings import BlobSettings
from tests.support.build import config, put
from tests.support.databases import url_of

# --- through a saver

VALUE = random.Random(7).randbytes(5_000_000)


def names(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(".blob").lstrip("0") for path in folder.iterdir())


@pytest.fixture(params=["sqlite", "asyncpg"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """A database and a folder of blobs."""
    return url_of(request.param, request, tmp_path), str(tmp_path / "blobs")


def opened(where: tuple[str, str], **settings: Any) -> SQLAlchemySaver:
    return SQLAlchemySaver.from_conn_string(where[0], blob_url=where[1], blob_settings=BlobSettings(**settings))


def count_fetches(saver: SQLAlchemySaver) -> list[str]:
    """The keys of all objects that are fetched from here on."""
    backend: Any = saver.store.objects._backend
    real: Callable[[str, int], Awaitable[bytes]] = backend.get
    fetched: list[str] = []

    async def get(key: str, max_bytes: int) -> bytes:
        fetched.append(key)
        return await real(key, max_bytes)

    backend.get = get
    return fetched


async def read(saver: SQLAlchemySaver) -> Any:
    found = await saver.aget_tuple(config("t"))
    assert found is not None
    return found.checkpoint["channel_values"]["upload"]


async def stored(where: tuple[str, str], value: Any = VALUE) -> None:
    async with opened(where) as saver:
        await put(saver, config("t"), {"upload": value})


async def test_a_value_that_is_read_twice_is_fetched_once(where: tuple[str, str]) -> None:
    await stored(where)
    async with opened(where, cache_bytes=6_000_000) as saver:
        fetched = count_fetches(saver)
        assert await read(saver) == VALUE
        assert await read(saver) == VALUE
        assert len(fetched) == 1


@pytest.mark.parametrize("cache_bytes", [0, 4_999_999])
async def test_without_room_in_memory_it_is_fetched_twice(where: tuple[str, str], cache_bytes: int) -> None:
    await stored(where)
    async with opened(where, cache_bytes=cache_bytes) as saver:
        fetched = count_fetches(saver)
        assert await read(saver) == VALUE
        assert await read(saver) == VALUE
        assert len(fetched) == 2


@pytest.mark.parametrize(
    "value", [VALUE, {"pages": [VALUE[:200_000], "text " * 50_000], "list": ["x" * 100_000] * 3}], ids=["bytes", "parts"]
)
async def test_a_warm_folder_spares_the_next_process_every_fetch(where: tuple[str, str], tmp_path: Path, value: Any) -> None:
    await stored(where, value)
    folder = str(tmp_path / "cache")
    async with opened(where, cache_folder=folder) as saver:
        fetched = count_fetches(saver)
        assert await read(saver) == value
        assert len(fetched) == len(names(tmp_path / "cache")) > 0
    async with opened(where, cache_folder=folder) as saver:
        fetched = count_fetches(saver)
        assert await read(saver) == value
        assert fetched == []


@pytest.mark.parametrize(
    "alter",
    [lambda data: data[:-1], lambda data: b"\0" + data[1:], lambda _: b"", lambda data: data + b"x"],
    ids=["short", "other", "empty", "long"],
)
async def test_an_altered_cache_file_is_noticed_and_replaced(
    where: tuple[str, str], tmp_path: Path, alter: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    await stored(where)
    folder = tmp_path / "cache"
    async with opened(where, cache_folder=str(folder)) as saver:
        assert await read(saver) == VALUE
    (file,) = folder.iterdir()
    file.write_bytes(alter(VALUE))
    async with opened(where, cache_folder=str(folder), cache_bytes=0) as saver:
        fetched = count_fetches(saver)
        assert await read(saver) == VALUE
        assert len(fetched) == 1
        # Of a longer file nothing is read: it counts as missing.
        assert ("altered" in caplog.text) == (len(alter(VALUE)) <= len(VALUE))
        assert file.read_bytes() == VALUE
        assert await read(saver) == VALUE
        assert len(fetched) == 1


async def test_a_cache_folder_that_can_not_be_written_costs_only_the_fetches(where: tuple[str, str], tmp_path: Path) -> None:
    await stored(where)
    (tmp_path / "file").write_bytes(b"")
    async with opened(where, cache_folder=str(tmp_path / "file"), cache_bytes=0) as saver:
        fetched = count_fetches(saver)
        assert await read(saver) == VALUE
        assert await read(saver) == VALUE
        assert len(fetched) == 2


async def test_a_blob_that_was_read_by_its_handle_comes_from_the_cache(where: tuple[str, str]) -> None:
    async with opened(where, cache_bytes=6_000_000) as saver:
        handle = await saver.blobs.put(VALUE)
        fetched = count_fetches(saver)
        assert await saver.blobs.get(handle) == VALUE
        assert await saver.blobs.get(handle.id) == VALUE
        await put(saver, config("t"), {"upload": VALUE})
        assert await read(saver) == VALUE
        assert len(fetched) == 1
