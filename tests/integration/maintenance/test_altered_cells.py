"""Cells that somebody altered, in every column of every table: each public call ends, or raises an error of ours."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from sqlalchemy import Table

from ckptstore import RetentionPolicy, SQLAlchemySaver
from ckptstore.errors import CheckpointCorrupt, CkptStoreError
from tests.support.altered_cells import CELLS, COLUMNS, altered, fill
from tests.support.backups import take
from tests.support.build import checkpoint, config, metadata
from tests.support.checked_rows import run

# Another type in rows without checksums, and NULL in rows that have them: one cell for each column, as all of them would take ten minutes.
ALTERED = [(*column, *form) for number, column in enumerate(COLUMNS) for form in ((CELLS[number % len(CELLS)], False), ("NULL", True))]
ENCRYPTED = EncryptedSerializer.from_pycryptodome_aes(key=b"0" * 32)
LONG_AGO, LATER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
KEEP_ONE = RetentionPolicy(keep_last=1)

#: What only reads, one after the other on one saver.
READS: list[Callable[[SQLAlchemySaver, Path], Any]] = [
    lambda saver, _: saver.get_tuple(config("t")),
    lambda saver, _: saver.get_tuple(config("u")),
    lambda saver, _: list(saver.list(None)),
    lambda saver, _: list(saver.list(config("t"), limit=2)),
    lambda saver, _: list(saver.list(None, filter={"user": {"$ne": "bob"}})),
    lambda saver, _: list(saver.list(None, filter={"user": "ann"}, created_after=LONG_AGO, created_before=LATER)),
    lambda saver, _: list(saver.list_threads()),
    lambda saver, _: list(saver.list_threads(filter={"user": "ann"}, order_by="thread_id", limit=1)),
    lambda saver, _: saver.get_delta_channel_history(config=config("t"), channels=["list", "n"]),
    lambda saver, _: saver.prune_by(KEEP_ONE, dry_run=True),
    lambda saver, _: saver.prune_by(RetentionPolicy(max_age=timedelta(0), thread_ttl=timedelta(0)), dry_run=True),
    lambda saver, _: saver.collect(grace=timedelta(0), dry_run=True),
    lambda saver, _: saver.erase({"user": "ann"}, dry_run=True),
    lambda saver, _: saver.verify(),
    lambda saver, _: saver.verify(deep=True),
    lambda saver, folder: take(saver, folder / "backup"),
    lambda saver, folder: copied(saver, folder / "copy.sqlite"),
    lambda saver, folder: copied(saver, folder / "newest.sqlite", newest=1),
]
#: What changes something, each group on a file of its own.
WRITES: list[list[Callable[[SQLAlchemySaver, Path], Any]]] = [
    [
        lambda saver, _: saver.put(config("t"), checkpoint({"n": 7, "list": [2]}), metadata(9), {"n": "0000000001.000000000000"}),
        lambda saver, _: saver.put_writes(config("u", "ffff"), [("n", bytes(70_000))], "early"),
        lambda saver, _: saver.rebuild_tags(),
        lambda saver, _: saver.relocate_blobs(),
        lambda saver, _: saver.collect(grace=timedelta(0)),
        lambda saver, _: saver.vacuum(),
        lambda saver, _: saver.copy_thread("t", "v"),
        lambda saver, _: saver.copy_thread("t", "w", newest=1),
        lambda saver, _: saver.prune(["t", "u"]),
        lambda saver, _: saver.delete_for_runs(["r"]),
        lambda saver, _: saver.erase({"user": "ann"}),
        lambda saver, _: saver.delete_thread("t"),
    ],
    [
        lambda saver, _: saver.prune_by(KEEP_ONE),
        lambda saver, _: saver.prune_by(RetentionPolicy(max_age=timedelta(0), keep_tags=[{"user": "ann"}])),
        lambda saver, _: saver.prune(["t", "u"], strategy="delete"),
    ],
]


def copied(saver: SQLAlchemySaver, target: Path, **options: Any) -> None:
    with SQLAlchemySaver.from_conn_string(target) as other:
        saver.copy_to(other, **options)


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("altered") / "checkpoints.sqlite"
    asyncio.run(fill(path))
    return path


def call(path: Path, *calls: Callable[[SQLAlchemySaver, Path], Any], serde: Any = None) -> None:
    """Make calls, each of which may raise errors of ours; any other one, and a warning, is a failure."""
    with suppress(CkptStoreError), SQLAlchemySaver.from_conn_string(path, serde=serde) as saver:
        for each in calls:
            with suppress(CkptStoreError):
                each(saver, path.parent)


@pytest.mark.parametrize(
    ("table", "column", "cell", "checksums"), ALTERED, ids=[f"{table.name}.{column}-{cell}" for table, column, cell, _ in ALTERED]
)
def test_no_call_raises_anything_else(
    intact: Path, migrated_sqlite: Path, tmp_path: Path, table: Table, column: str, cell: str, checksums: bool
) -> None:
    for target in ("copy", "newest"):
        shutil.copyfile(migrated_sqlite, tmp_path / f"{target}.sqlite")
    path = altered(intact, tmp_path / "altered.sqlite", table, column, cell, checksums=checksums)
    before = path.read_bytes()
    for calls in (READS, *WRITES):
        path.write_bytes(before)
        call(path, *calls)
    path.write_bytes(before)
    call(path, lambda saver, _: saver.reencrypt(JsonPlusSerializer()), serde=ENCRYPTED)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("column", "cell", "says"),
    [
        ("size", "'text'", "ckpt_checkpoint.size is a text where an integer belongs"),
        ("format", "x'00'", "ckpt_checkpoint.format is bytes where an integer belongs"),
        ("parent_checkpoint_id", "x'00'", "ckpt_checkpoint.parent_checkpoint_id is bytes where a text belongs"),
    ],
)
async def test_a_prune_names_the_thread_and_the_cell_and_prunes_the_others(
    saver: SQLAlchemySaver, caplog: pytest.LogCaptureFixture, column: str, cell: str, says: str
) -> None:
    for thread in "abc":
        for step in range(3):
            await saver.aput(config(thread), checkpoint({"n": step}), metadata(step), {})
    run(saver, f"UPDATE ckpt_checkpoint SET checksum = NULL, {column} = {cell} WHERE thread_id = 'b'")
    with pytest.raises(CheckpointCorrupt, match=f"thread 'b': {says}"):
        await saver.aprune(["a", "b", "c"])
    assert (await saver.aprune_by(KEEP_ONE)).checkpoints + 5 == 9
    assert [record.getMessage() for record in caplog.records if getattr(record, "event", "") == "thread_not_pruned"]
    assert not (await saver.averify()).ok
    await saver.adelete_thread("b")
    assert (await saver.averify()).ok
