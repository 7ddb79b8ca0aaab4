"""What the commands share: a database that must exist, and errors without a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ckptstore.cli import main
from ckptstore.cli.options import store_on
from ckptstore.db.open import open_database
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import parse_database_url
from ckptstore.errors import InvalidUrl, StoreClosed


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


def test_a_database_whose_store_can_t_be_made_is_closed(sqlite_url: str) -> None:
    runner = open_database(parse_database_url(sqlite_url), DatabaseSettings(), None)
    with pytest.raises(InvalidUrl, match="nowhere"), store_on(runner, lambda: "nowhere://bucket"):
        pytest.fail("no store can have these blobs")
    with pytest.raises(StoreClosed):
        runner.read(lambda db: db.execute("SELECT 1"))
