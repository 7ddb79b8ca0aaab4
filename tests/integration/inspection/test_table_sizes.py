"""The space of tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.inspection import table_sizes as table_sizes_module
from ckptstore.inspection.table_sizes import TableSizes, table_sizes
from tests.support.build import chain, checkpoint, config, metadata
from tests.support.databases import url_of
from tests.support.doctor import invalid_index


def sizes(saver: SQLAlchemySaver, *, full: bool = False) -> TableSizes:
    return saver.store.runner.read(lambda db: table_sizes(db, full=full)).result()


@pytest.mark.parametrize("kind", ["sqlite", "asyncpg", "psycopg", "asyncpg partitioned"])
def test_every_table_has_a_size_and_its_rows(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    url = url_of(kind, request, tmp_path)
    with SQLAlchemySaver.from_conn_string(url) as saver:
        for step in range(151):
            made = checkpoint({"n": step})
            saver.put(config("t" if step else "other"), made, metadata(step), made["channel_versions"])
        if kind != "sqlite":
            saver.vacuum()
        found = sizes(saver)
    by_name = {table.name: table for table in found.tables}
    assert [by_name[name].rows for name in ("ckpt_checkpoint", "ckpt_thread")] == [151, 2]
    # Alembic's table is not vacuumed.
    assert by_name["ckpt_alembic_version"].rows in (1, None)
    assert by_name["ckpt_checkpoint"].bytes > 151 * 100
    assert by_name["ckpt_checkpoint"].index_bytes > 0
    assert all(table.indexes_are_valid for table in found.tables)
    assert found.reason is None
    assert (found.free_bytes is None) == (kind != "sqlite")
    assert found.bytes >= sum(table.bytes for table in found.tables)


async def test_a_large_file_is_read_only_if_asked(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_sizes_module, "_MAX_FILE_BYTES", 10)
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await chain(saver, "t", 1)
        found = sizes(saver)
        assert (found.tables, found.bytes > 10) == ([], True)
        assert found.reason is not None
        assert "all of them would be read" in found.reason
        assert sizes(saver, full=True).tables


@pytest.mark.parametrize("url", ["asyncpg"], indirect=True)
async def test_an_invalid_index_is_noticed(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await chain(saver, "t", 1)
        with invalid_index(saver, "ckpt_object_by_digest"):
            assert [table.name for table in sizes(saver).tables if not table.indexes_are_valid] == ["ckpt_object"]
