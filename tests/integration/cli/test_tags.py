"""`ckptstore tags rebuild`."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from ckptstore import SQLAlchemySaver, TagKeys
from ckptstore.cli import main
from tests.support.build import chain
from tests.support.rows import expect_tags_of


async def test_the_command_makes_tags_anew(tmp_path: Path) -> None:
    url = str(tmp_path / "checkpoints.sqlite")
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await chain(saver, "t", 3, user="ada")
    done = CliRunner().invoke(main, ["tags", "rebuild", "--url", url, "--include", "user", "--include", "step"])
    assert (done.exit_code, done.stdout) == (0, "6 tags\n")
    async with SQLAlchemySaver.from_conn_string(url, tag_keys=TagKeys(include=("step", "user"))) as saver:
        await expect_tags_of(saver)
    assert CliRunner().invoke(main, ["blobs", "collect", "--url", url]).exit_code == 0
