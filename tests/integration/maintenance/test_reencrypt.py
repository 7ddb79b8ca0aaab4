"""A change of keys: every value is stored anew, nothing is lost on the way, and the old key reads nothing afterwards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore import SQLAlchemySaver, key_ring
from ckptstore.cli import main
from ckptstore.errors import CheckpointCorrupt, CkptStoreError, InvalidConfig
from ckptstore.langgraph.recode import Recoder
from ckptstore.maintenance.reports import ReencryptReport
from ckptstore.runtime.steps import drive_async
from tests.support.build import checkpoint, config, metadata, put
from tests.support.rows import Rows

UPLOAD = os.urandom(150_000)
TALK = [{"role": "user", "content": f"message {number} " * 20} for number in range(100)]


def old_key() -> EncryptedSerializer:
    return EncryptedSerializer.from_pycryptodome_aes(key=b"o" * 16)


def new_key() -> EncryptedSerializer:
    return EncryptedSerializer.from_pycryptodome_aes(key=b"n" * 16)


def opened(url: str, serde: SerializerProtocol, folder: Path) -> SQLAlchemySaver:
    return SQLAlchemySaver.from_conn_string(url, serde=serde, blob_url=folder / "blobs")


async def fill(saver: SQLAlchemySaver) -> None:
    """Two threads with values of every size, a file by handle, writes, and a row as schema revision 0004 left it."""
    ref = await saver.blobs.put(b"by handle" * 20_000)
    for thread_id in ("a", "b"):
        for step in range(3):
            values = {
                "n": step,
                "text": "x" * 100,
                "talk": TALK[: 30 * (step + 1)],
                "upload": UPLOAD,
                "file": [ref, step],
                "small": {"ref": ref},
            }
            versions: dict[str, Any] = dict.fromkeys(values, f"{step + 1:08}.x")
            where = await saver.aput(config(thread_id), checkpoint(values, versions), metadata(step), versions)
            await saver.aput_writes(where, [("talk", TALK), ("n", step), ("none", None), ("upload", UPLOAD)], f"task-{step}")
    saver.store.runner.write(lambda db: db.execute("UPDATE ckpt_channel SET checksum = NULL WHERE channel = 'text'")).result()


async def everything(saver: SQLAlchemySaver) -> list[Any]:
    found = await saver.alist(None)
    return [(each.config, each.checkpoint, each.metadata, each.parent_config, each.pending_writes) for each in found]


@pytest.mark.parametrize(("old", "new"), [(old_key(), new_key()), (JsonPlusSerializer(), new_key()), (old_key(), JsonPlusSerializer())])
async def test_everything_reads_the_same_under_the_new_key(
    lasting_url: str, tmp_path: Path, old: SerializerProtocol, new: SerializerProtocol
) -> None:
    async with opened(lasting_url, old, tmp_path) as saver:
        await fill(saver)
        before = await everything(saver)
    async with opened(lasting_url, new, tmp_path) as saver:
        with pytest.raises(CkptStoreError):
            await saver.aget_tuple(config("a"))
        report = await saver.areencrypt(old)
        assert (report.checkpoints, report.done_before, report.changed_meanwhile) == (6, 0, 0)
        assert (report.values, report.writes) == (6 * 5, 6 * 4)
        assert await everything(saver) == before
        assert (await saver.averify(deep=True)).ok
        assert Rows.of(saver).orphans() == {}
        again = await saver.areencrypt(old)
        assert (again.checkpoints, again.values, again.writes, again.done_before) == (0, 0, 0, 60)
    async with opened(lasting_url, old, tmp_path) as saver:
        with pytest.raises(CkptStoreError):
            await saver.aget_tuple(config("a"))


class Interrupted(Exception):
    pass


class StopAfter:
    """Ends a run after so many transactions."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __call__(self, _report: ReencryptReport) -> None:
        self.steps -= 1
        if not self.steps:
            raise Interrupted


async def is_interrupted(saver: SQLAlchemySaver, steps: int) -> bool:
    try:
        await saver.areencrypt(old_key(), progress=StopAfter(steps))
    except Interrupted:
        return True
    return False


async def test_a_run_that_was_interrupted_anywhere_is_repeated(lasting_url: str, tmp_path: Path) -> None:
    async with opened(lasting_url, old_key(), tmp_path) as saver:
        await fill(saver)
        before = await everything(saver)
    steps = 1
    async with (
        opened(lasting_url, new_key(), tmp_path) as saver,
        opened(lasting_url, key_ring(new_key(), old_key()), tmp_path) as reader,
    ):
        while await is_interrupted(saver, steps):
            assert await everything(reader) == before
            steps += 1
        assert steps > 5
        assert await everything(saver) == before


async def test_a_row_that_changes_meanwhile_is_left_to_its_writer(lasting_url: str, tmp_path: Path) -> None:
    async with opened(lasting_url, old_key(), tmp_path) as saver:
        where = await put(saver, config("t"), {"text": "y" * 100})
        await saver.aput_writes(where, [("__error__", "first")], "task")
        async with opened(lasting_url, new_key(), tmp_path) as other:

            class Replacing:
                """Replaces the write after it was read."""

                def __init__(self) -> None:
                    self._recoder = Recoder(old_key(), new_key())

                def body(self, stored: Any) -> Any:
                    return self._recoder.body(stored)

                def value(self, stored: Any, channel: str) -> Any:
                    if channel == "__error__":
                        saver.put_writes(where, [("__error__", "second")], "task")
                    return self._recoder.value(stored, channel)

            report = await drive_async(other.store.reencrypt(Replacing(), 0, lambda _report: None))
            assert (report.writes, report.changed_meanwhile) == (0, 1)
            report = await other.areencrypt(old_key())
            assert (report.writes, report.changed_meanwhile) == (1, 0)
            found = await other.aget_tuple(where)
            assert found is not None
            assert found.pending_writes == [("task", "__error__", "second")]


async def test_an_altered_row_is_not_given_a_new_checksum(lasting_url: str, tmp_path: Path) -> None:
    async with opened(lasting_url, old_key(), tmp_path) as saver:
        await put(saver, config("t"), {"text": "y" * 100})
        saver.store.runner.write(lambda db: db.execute("UPDATE ckpt_channel SET version = '9'")).result()
    async with opened(lasting_url, new_key(), tmp_path) as saver:
        with pytest.raises(CheckpointCorrupt, match="'text'"):
            await saver.areencrypt(old_key())


async def test_the_same_key_twice_is_refused(lasting_url: str, tmp_path: Path) -> None:
    async with opened(lasting_url, key_ring(new_key(), old_key()), tmp_path) as saver:
        with pytest.raises(InvalidConfig, match="same key"):
            await saver.areencrypt(old_key())


async def test_the_command_line_changes_the_keys(lasting_url: str, tmp_path: Path) -> None:
    async with opened(lasting_url, old_key(), tmp_path) as saver:
        await fill(saver)
        before = await everything(saver)
    command = ["reencrypt", "--url", lasting_url, "--blob-url", str(tmp_path / "blobs")]
    here = "tests.integration.maintenance.test_reencrypt"
    for old, says in (("nowhere:old", "can't be imported"), (f"{here}:UPLOAD", "is no serialiser"), ("nocolon", "write module:object")):
        refused = CliRunner().invoke(main, [*command, "--old", old, "--new", f"{here}:new_key"])
        assert refused.exit_code == 1
        assert says in refused.output
    done = CliRunner().invoke(main, [*command, "--old", f"{here}:old_key", "--new", f"{here}:new_key"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("stored anew: 6 checkpoints, 30 values, 24 writes; done before: 0 rows")
    async with opened(lasting_url, new_key(), tmp_path) as saver:
        assert await everything(saver) == before
