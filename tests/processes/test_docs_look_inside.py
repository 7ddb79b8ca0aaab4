"""The commands of docs/look-inside.md run as they are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver, TagKeys
from ckptstore.cli import main
from tests.support.build import checkpoint, config, metadata
from tests.support.documents import commands


def test_every_command_succeeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CKPTSTORE_DATABASE_URL", "checkpoints.sqlite")
    with SQLAlchemySaver.from_conn_string("checkpoints.sqlite", tag_keys=TagKeys(exclude=("trace_*",))) as saver:
        for step, id_ in enumerate(("1f1e", "1f1f")):
            made = checkpoint({"messages": ["hello"] * step}, id=id_)
            saver.put(config("ann"), made, metadata(step, user_id="ann"), made["channel_versions"])
    found = commands("look-inside.md")
    assert len(found) == 14
    for command in found:
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, (command, done.output)
