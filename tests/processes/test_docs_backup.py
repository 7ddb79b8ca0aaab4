"""The commands of docs/backup.md run as they are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from tests.support.documents import commands
from tests.support.transfers import contents, fill


def test_every_command_succeeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with SQLAlchemySaver.from_conn_string("checkpoints.sqlite") as saver:
        fill(saver)
        found = commands("backup.md")
        assert len(found) == 4
        for command in found:
            named = [str(tmp_path / "backups") if part == "/backups" else part for part in command]
            done = CliRunner().invoke(main, named)
            assert done.exit_code == 0, (command, done.output)
        with SQLAlchemySaver.from_conn_string("restored.sqlite") as restored:
            assert contents(restored) == contents(saver)
