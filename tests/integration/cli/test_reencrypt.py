"""`ckptstore reencrypt`; tests/integration/maintenance/test_reencrypt.py has what it does."""

from __future__ import annotations

from click.testing import CliRunner

from ckptstore.cli import main


def test_both_serialisers_are_needed(lasting_url: str) -> None:
    done = CliRunner().invoke(main, ["reencrypt", "--url", lasting_url, "--old", "a:b"])
    assert done.exit_code == 2
    assert "--new" in done.output
