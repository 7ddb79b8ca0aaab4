"""What the commands share: a database that must exist, and errors without a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ckptstore.cli import main


@pytest.mark.parametrize("name", [("blobs", "verify"), ("blobs", "collect"), ("revision",), ("downgrade", "base")])
@pytest.mark.parametrize("scheme", ["", "sqlite:///"])
def test_a_database_that_is_not_there_is_reported_and_not_created(tmp_path: Path, name: tuple[str, ...], scheme: str) -> None:
    path = tmp_path / "typo.sqlite"
    done = CliRunner().invoke(main, [*name, "--url", f"{scheme}{path}"])
    assert done.exit_code == 1
    assert f"database {path} does not exist" in done.output
    assert list(tmp_path.iterdir()) == []
    assert CliRunner().invoke(main, ["upgrade", "--url", f"{scheme}{path}"]).exit_code == 0
    assert path.exists()
