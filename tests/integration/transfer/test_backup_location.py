"""Blobs that no backup needs any more: noted, and deleted a day later, while nobody uses them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.settings import BlobSettings
from ckptstore.errors import InvalidConfig
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.runtime.steps import drive
from ckptstore.transfer.backup import BackupReport, back_up
from ckptstore.transfer.backup_location import BackupLocation, Unneeded
from tests.support.backups import restore
from tests.support.build import checkpoint, config, metadata
from tests.support.transfers import contents, fill

DAY = int(timedelta(days=1) / timedelta(microseconds=1))


class Backups:
    """Backups of a saver at times of the test's own."""

    def __init__(self, saver: SQLAlchemySaver, folder: Path) -> None:
        self.saver, self.folder, self.now = saver, folder, 1_800_000_000_000_000

    def take(self, *, prune: bool = True, days: float = 0) -> BackupReport:
        self.now += 1_000_000 + int(days * DAY)
        return drive(back_up(self.saver.store, str(self.folder), LANGGRAPH, lambda: self.now, prune=prune))

    def forget(self, name: str) -> None:
        for file in self.folder.glob(f"backup/{name}.*"):
            file.unlink()

    def blobs(self) -> int:
        return sum(1 for file in self.folder.rglob("*") if file.is_file() and file.parent.name != "backup")


@pytest.fixture
def backups(tmp_path: Path) -> Iterator[Backups]:
    with SQLAlchemySaver.from_conn_string(tmp_path / "a.sqlite") as saver:
        fill(saver)
        yield Backups(saver, tmp_path / "backups")


def in_location(backups: Backups, work: Any) -> Any:
    async def run() -> Any:
        backend = open_backend(str(backups.folder), BlobSettings())
        try:
            return await work(BackupLocation(backend))
        finally:
            await backend.close()

    return asyncio.run(run())


def test_what_no_backup_needs_is_deleted_a_day_later(backups: Backups) -> None:
    first = backups.take()
    backups.saver.delete_thread("t0")
    backups.saver.erase({"user_id": "u1"})
    second = backups.take()
    # The first one needs all of them, and the row of the deleted thread's object is there until it is collected.
    assert (first.objects, second.objects, second.unneeded, backups.blobs()) == (3, 2, 0, 3)
    backups.forget(first.name)
    third = backups.take(prune=False)
    assert (third.unneeded, third.unneeded_bytes, third.pruned) == (1, 70_000, 0)
    early = backups.take(days=0.9)
    assert (early.unneeded, early.pruned, backups.blobs()) == (1, 0, 3)
    unasked = backups.take(prune=False, days=0.2)
    assert (unasked.unneeded, unasked.pruned) == (1, 0)
    last = backups.take()
    assert (last.unneeded, last.pruned, last.pruned_bytes, backups.blobs()) == (0, 1, 70_000, 2)
    assert backups.take().pruned == 0
    target = str(backups.folder.parent / "restored.sqlite")
    assert restore(backups.folder, target, "--name", second.name).exit_code == 0
    with SQLAlchemySaver.from_conn_string(target) as restored:
        assert contents(restored) == contents(backups.saver)


def test_what_is_needed_again_stays(backups: Backups) -> None:
    first = backups.take()
    before = backups.saver.get_tuple(config("t1"))
    assert before is not None
    value = next(each for each in backups.saver.list(config("t1")) if "file" in each.checkpoint["channel_values"]).checkpoint
    backups.saver.erase({"user_id": "u1"})
    backups.forget(first.name)
    assert backups.take().unneeded == 1
    # The same content, under another key: the old blob is still not needed.
    made = checkpoint({"file": value["channel_values"]["file"]}, {"file": "1"})
    backups.saver.put(config("new"), made, metadata(0), {"file": "1"})
    report = backups.take(days=2)
    assert (report.pruned, report.failed) == (1, [])
    assert restore(backups.folder, str(backups.folder.parent / "restored.sqlite")).exit_code == 0


def test_a_backup_that_is_under_way_keeps_its_blobs(backups: Backups) -> None:
    first = backups.take()
    keys = (backups.folder / "backup" / f"{first.name}.keys").read_text().split()
    backups.forget(first.name)
    for thread in ("t0", "t1", "t2"):
        backups.saver.erase({"user_id": f"u{thread[1]}"})
    assert backups.take().unneeded == 3
    # Another process has begun one, and has not ended it.
    backups.now += 2 * DAY
    name = backups.take(prune=False).name
    (backups.folder / "backup" / f"{name}.json").unlink()
    (backups.folder / "backup" / f"{name}.keys").write_text("\n".join(keys))
    assert (backups.take().pruned, backups.blobs()) == (0, 3)
    # It never ends.
    backups.take(days=1.1)
    assert (backups.take(days=1.1).pruned, backups.blobs()) == (3, 0)


def test_one_that_begins_meanwhile_ends_the_prune(backups: Backups, monkeypatch: pytest.MonkeyPatch) -> None:
    first = backups.take()
    backups.saver.erase({"user_id": "u0"})
    backups.forget(first.name)
    backups.take()
    names = BackupLocation.names
    asked: list[str] = []

    async def one_more(self: BackupLocation, *suffix: str) -> list[str]:
        asked.extend(suffix)
        found = await names(self, *suffix)
        return [*found, "another"] if len(asked) > 1 else found

    monkeypatch.setattr(BackupLocation, "names", one_more)
    found: Unneeded = in_location(backups, lambda location: location.review(backups.now + 2 * DAY, prune=True))
    assert (found.deleted, backups.blobs()) == (0, 3)


def test_a_blob_that_a_prune_deleted_meanwhile_is_stored_again(backups: Backups, monkeypatch: pytest.MonkeyPatch) -> None:
    first = backups.take()
    backups.forget(first.name)
    safe_keys = BackupLocation.safe_keys

    async def pruned(self: BackupLocation) -> set[str]:
        for file in backups.folder.rglob("*"):
            if file.is_file() and file.parent.name != "backup":
                file.unlink()
        return await safe_keys(self)

    monkeypatch.setattr(BackupLocation, "safe_keys", pruned)
    assert backups.take().failed == []
    assert backups.blobs() == 3


def test_a_backup_whose_keys_are_lost_keeps_everything(backups: Backups) -> None:
    first = backups.take()
    (backups.folder / "backup" / f"{first.name}.keys").unlink()
    backups.saver.erase({"user_id": "u0"})
    assert [backups.take(days=2).unneeded for _ in range(3)] == [0, 0, 0]
    assert backups.blobs() == 3


def test_what_else_is_there_stays(backups: Backups) -> None:
    backups.take()
    for name in ("notes.txt", "18/notes", f"photos/18/{'a' * 64}-{'b' * 16}"):
        (backups.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (backups.folder / name).write_text("mine")
    assert [backups.take(days=2).unneeded for _ in range(3)] == [0, 0, 0]
    assert backups.blobs() == 6


@pytest.mark.parametrize("within", ["", "b", "../a.sqlite.blobs/."])
def test_the_location_of_the_own_blobs_is_refused(backups: Backups, within: str) -> None:
    backups.folder = Path(f"{backups.folder.parent / 'a.sqlite.blobs'}/{within}")
    with pytest.raises(InvalidConfig, match=r"the blobs of this store are at .*back it up to another location"):
        backups.take()
