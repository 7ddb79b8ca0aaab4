"""`ckptstore threads erase`; tests/integration/store/test_erasing.py has what it does."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from ckptstore.cli import main


def test_a_filter_is_needed(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["threads", "erase", "--url", str(tmp_path / "a.sqlite")])
    assert done.exit_code == 2
    assert "--filter" in done.output
