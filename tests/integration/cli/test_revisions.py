"""`ckptstore upgrade`, `downgrade` and `revision`."""

from __future__ import annotations

from click.testing import CliRunner

from ckptstore.cli import main
from ckptstore.db import schema
from tests.support.databases import table_names


def test_the_command_line_upgrades_shows_the_revision_and_downgrades(bare_url: str) -> None:
    runner = CliRunner()
    assert runner.invoke(main, ["revision", "--url", bare_url]).exit_code == 1
    assert runner.invoke(main, ["upgrade", "--url", bare_url]).exit_code == 0
    done = runner.invoke(main, ["revision"], env={"CKPTSTORE_DATABASE_URL": bare_url})
    assert (done.exit_code, done.output) == (0, f"database: {schema.HEAD}, this release: {schema.HEAD}\n")
    assert runner.invoke(main, ["downgrade", "--url", bare_url, "9999"]).output.startswith("Error: unknown revision '9999'")
    assert runner.invoke(main, ["downgrade", "--url", bare_url, "base"]).exit_code == 0
    assert table_names(bare_url) == {"ckpt_alembic_version"}
