"""What `scripts/release.py` writes."""

from __future__ import annotations

import runpy
import sys
from datetime import date
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
RELEASE = runpy.run_path(str(CHECKOUT / "scripts" / "release.py"))


def test_only_the_version_of_the_project_changes() -> None:
    before = (CHECKOUT / "pyproject.toml").read_text()
    after = RELEASE["with_version"](before, "9.8.7")
    changed = [(old, new) for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert [new for _, new in changed] == ['version = "9.8.7"']


def test_the_changelog_gets_a_date_and_an_empty_section() -> None:
    before = (CHECKOUT / "CHANGELOG.md").read_text()
    after = RELEASE["dated"](before, "9.8.7", date(2027, 1, 31))
    assert "## Unreleased\n\n## 9.8.7 - 2027-01-31\n" in after
    assert after.replace("\n\n## 9.8.7 - 2027-01-31", "") == before


def test_a_changelog_without_news_is_refused() -> None:
    with pytest.raises(SystemExit, match="Unreleased"):
        RELEASE["dated"]("# Changelog\n", "9.8.7", date(2027, 1, 31))


def test_a_version_of_another_form_is_refused() -> None:
    with pytest.raises(SystemExit, match="form"):
        RELEASE["check_state"]("1.2")


def test_help_says_what_it_takes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["release.py", "--help"])
    with pytest.raises(SystemExit) as exit_:
        runpy.run_path(str(CHECKOUT / "scripts" / "release.py"), run_name="__main__")
    assert exit_.value.code == 0
    assert "form 1.2.3" in capsys.readouterr().out
