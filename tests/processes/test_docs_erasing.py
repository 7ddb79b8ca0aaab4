"""The commands of docs/erasing.md run as they are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from tests.support.build import checkpoint, config, metadata
from tests.support.documents import commands
from tests.support.transfers import threads_of


def test_every_command_succeeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with SQLAlchemySaver.from_conn_string("checkpoints.sqlite") as saver:
        for user in ("ann", "ben"):
            saver.put(config(user), checkpoint({}), metadata(0, user_id=user), {})
    found = commands("erasing.md")
    assert len(found) == 3
    for command in found:
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, (command, done.output)
    with SQLAlchemySaver.from_conn_string("checkpoints.sqlite") as saver:
        assert threads_of(saver) == ["ben"]
