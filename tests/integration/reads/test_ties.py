"""Pages that end among checkpoints with one id: copies of threads."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.reads import checkpoints as reads_checkpoints
from ckptstore.store import listing
from tests.support.build import chain

# Neither in the order of their creation, nor against it.
COPIES = ("p", "a", "z", "d", "m")


async def keys(saver: SQLAlchemySaver, wanted: dict[str, Any] | None, **restrictions: Any) -> list[tuple[str, str]]:
    found = await saver.alist(None, filter=wanted, **restrictions)
    return [(each.checkpoint["id"], each.config["configurable"]["thread_id"]) for each in found]


@pytest.fixture(params=[1, 2, 4, 7])
def small_pages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_PAGE_SIZE", request.param)
    monkeypatch.setattr(reads_checkpoints, "_METADATA_PAGE_SIZE", request.param)


@pytest.mark.usefixtures("small_pages")
async def test_pages_that_end_among_copies_lose_nothing_and_repeat_nothing(saver: SQLAlchemySaver) -> None:
    await chain(saver, "k", 3, user="ada", kind="chat", label="x")
    for name in COPIES:
        await saver.acopy_thread("k", name)
    await chain(saver, "other", 2, user="grace", kind="chat", label="y")
    everything = await keys(saver, None)
    of_ada = [key for key in everything if key[1] != "other"]
    assert (len(everything), of_ada) == (20, sorted(of_ada, reverse=True))
    assert await keys(saver, {"kind": "chat"}) == everything
    assert await keys(saver, {"user": "ada"}) == of_ada
    assert await keys(saver, {"user": "ada", "kind": "chat"}) == of_ada
    assert await keys(saver, {"user": {"$in": ["ada", "grace"]}}) == everything
    # What only the metadata can decide.
    assert await keys(saver, {"user": "ada", "label": {"$gte": "x"}}) == of_ada
    assert await keys(saver, {"kind": "chat", "user": {"$ne": "grace"}}) == of_ada
    for limit in (1, 5, 8):
        assert await keys(saver, {"user": "ada"}, limit=limit) == of_ada[:limit]
