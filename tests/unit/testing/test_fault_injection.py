"""The shipped backends that fail on purpose."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from ckptstore.blobs.backends.local import LocalBackend
from ckptstore.blobs.backends.protocol import BlobEntry
from ckptstore.testing import FailingBackend, PausingBackend
from tests.support.blob_backends import KEY, Killed, listed


def test_a_backend_is_stopped_and_released_from_another_thread(tmp_path: Path) -> None:
    backend = PausingBackend(LocalBackend(tmp_path))
    for after, there in ((False, []), (True, [BlobEntry(KEY, 7)])):
        with backend.pause("put", after=after) as pause:
            writer = threading.Thread(target=lambda: asyncio.run(backend.put(KEY, b"content")))
            writer.start()
            assert pause.reached.wait(30)
            assert pause.key == KEY
            assert asyncio.run(listed(backend)) == there
        writer.join(30)
        assert asyncio.run(listed(backend)) == [BlobEntry(KEY, 7)]
        asyncio.run(backend.delete(KEY))


@pytest.mark.parametrize(("after", "there"), [(False, []), (True, [BlobEntry(KEY, 7)])])
async def test_a_stopped_backend_is_killed_there(after: bool, there: list[BlobEntry], tmp_path: Path) -> None:
    backend = PausingBackend(LocalBackend(tmp_path))
    pause = backend.pause("put", after=after)
    pause.kill(Killed())
    with pytest.raises(Killed):
        await backend.put(KEY, b"content")
    assert await listed(backend) == there


async def test_pauses_are_used_in_turn(tmp_path: Path) -> None:
    backend = PausingBackend(LocalBackend(tmp_path))
    first, second = backend.pause("put"), backend.pause("put")
    first.release()
    await backend.put(KEY, b"content")
    assert first.reached.is_set()
    assert not second.reached.is_set()


@pytest.mark.parametrize(("after", "there"), [(False, []), (True, [BlobEntry("ab/2", 7)])])
async def test_the_nth_call_fails(after: bool, there: list[BlobEntry], tmp_path: Path) -> None:
    backend = FailingBackend(LocalBackend(tmp_path))
    backend.fail("put", Killed(), on_call=2, after=after)
    await backend.put("ab/1", b"content")
    with pytest.raises(Killed):
        await backend.put("ab/2", b"content")
    await backend.put("ab/3", b"content")
    assert await listed(backend) == sorted([BlobEntry("ab/1", 7), BlobEntry("ab/3", 7), *there])
