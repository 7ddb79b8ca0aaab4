"""A database is told that its blobs are elsewhere."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from ckptstore.cli import main
from ckptstore.errors import BlobUrlChanged
from tests.support.collector import CONTENT, NO_GRACE, SharedStore, elsewhere, leave_garbage
from tests.support.values import read


async def test_relocating_refuses_until_every_blob_is_there(shared: SharedStore) -> None:
    await leave_garbage(shared)
    target = shared.folder.with_name("elsewhere")
    async with elsewhere(shared) as saver:
        with pytest.raises(BlobUrlChanged, match="2 blobs of this database are not at"):
            await saver.arelocate_blobs()
    copied = CliRunner().invoke(main, ["blobs", "copy", "--from", str(shared.folder), "--to", str(target)])
    assert copied.exit_code == 0, copied.output
    done = CliRunner().invoke(main, ["blobs", "relocate", "--url", shared.url, "--blob-url", str(target)])
    assert done.exit_code == 0, done.output
    async with elsewhere(shared) as saver:
        for _ in range(3):
            await saver.acollect(grace=NO_GRACE)
        assert await read(saver) == {"file": CONTENT}
    async with shared.saver() as saver:
        with pytest.raises(BlobUrlChanged):
            await saver.acollect(grace=NO_GRACE)
        await saver.arelocate_blobs(force=True)
        await saver.acollect(grace=NO_GRACE)
