"""Rows that somebody altered, with cells of other types and without checksums: a sentence, or what is left, and never a traceback."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Table

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from tests.support.altered_cells import COLUMNS
from tests.support.build import config, put

CELLS = ["'text'", "x'ff00'", "1.5", "-9223372036854775808", "'[1]'", "'{\"a\": 1}'", "'\x1b[2J'"]
COMMANDS = [
    ["threads", "list"],
    ["threads", "list", "--filter", '{"user": "ann"}'],
    ["threads", "show", "t"],
    ["threads", "state", "t"],
    ["threads", "state", "t", "--json"],
    ["stats", "--keep-last", "1"],
    ["check"],
    ["blobs", "verify"],
    ["prune", "--keep-last", "1"],
]
OF_COMMANDS = [(table, name) for table, name in COLUMNS if name not in ("thread_id", "checksum") and table.name != "ckpt_setting"]
# One for each column: every cell in every column takes half a minute, and was tried.
ALTERED = [(*column, CELLS[number % len(CELLS)]) for number, column in enumerate(OF_COMMANDS)]


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("altered") / "checkpoints.sqlite"
    with SQLAlchemySaver.from_conn_string(path) as saver:
        saver.setup()
    return path


@pytest.fixture
async def filled(intact: Path) -> Path:
    if not intact.with_suffix(".filled").exists():
        async with SQLAlchemySaver.from_conn_string(intact) as saver:
            where = await put(saver, config("t"), {"list": [{"x": "word " * 900}], "n": 1, "file": bytes(70_000)}, user="ann")
            await saver.aput_writes(where, [("list", ["y" * 900])], "task")
            await put(saver, where, {"list": [2]}, 1, user="ann")
        intact.with_suffix(".filled").touch()
    return intact


@pytest.mark.parametrize(("table", "column", "cell"), ALTERED, ids=[f"{table.name}.{column}" for table, column, _ in ALTERED])
def test_no_command_ends_with_a_traceback(filled: Path, tmp_path: Path, table: Table, column: str, cell: str) -> None:
    path = shutil.copyfile(filled, tmp_path / filled.name)
    connection = sqlite3.connect(path)
    with connection:
        if "checksum" in table.columns:
            connection.execute(f"UPDATE {table.name} SET checksum = NULL")
        connection.execute(f"UPDATE OR IGNORE {table.name} SET {column} = {cell}")
    connection.close()
    for command in COMMANDS:
        done = CliRunner().invoke(main, [*command, "--url", str(path)])
        assert done.exception is None or isinstance(done.exception, SystemExit), (command, done.exception)
        assert "\x1b" not in done.output
