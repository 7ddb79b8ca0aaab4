"""What a checkpoint's values share with those before."""

from __future__ import annotations

from ckptstore import SQLAlchemySaver
from ckptstore.inspection.sharing import Shared, shared_with_parent
from ckptstore.records import CheckpointKey
from ckptstore.runtime.steps import drive_async
from tests.support.build import checkpoint, config, metadata


async def test_values_are_compared_with_those_of_the_parent(saver: SQLAlchemySaver) -> None:
    texts = [{"content": f"message {number} " * 30} for number in range(300)]
    first = checkpoint({"list": texts[:250], "kept": texts[:3]}, {"list": "1", "kept": "1"})
    where = await saver.aput(config("t"), first, metadata(), {"list": "1", "kept": "1"})
    second = checkpoint({"list": texts, "kept": texts[:3], "new": texts[:3]}, {"list": "2", "kept": "1", "new": "2"})
    await saver.aput(where, second, metadata(1), {"list": "2", "new": "2"})
    key = CheckpointKey("t", "", second["id"])
    found = await drive_async(shared_with_parent(saver.store, key, first["id"]))
    assert (found["kept"], found["new"]) == (Shared(True, 0), Shared(False, 0))
    size = len(saver.serde.dumps_typed(texts)[1])
    assert not found["list"].is_unchanged
    assert size / 2 < found["list"].bytes < size


async def test_without_a_parent_nothing_is_known(saver: SQLAlchemySaver) -> None:
    made = checkpoint({"n": [1]})
    await saver.aput(config("t"), made, metadata(), made["channel_versions"])
    key = CheckpointKey("t", "", made["id"])
    assert await drive_async(shared_with_parent(saver.store, key, None)) == {}
    assert await drive_async(shared_with_parent(saver.store, key, "pruned")) == {}
