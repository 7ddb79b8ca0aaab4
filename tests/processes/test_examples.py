"""What the README tells a newcomer to run does run, and does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def run(folder: Path, script: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", str(CHECKOUT / "examples" / script), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_shows_the_quickstart_as_it_is() -> None:
    assert (CHECKOUT / "examples" / "quickstart.py").read_text() in (CHECKOUT / "README.md").read_text()


def test_the_quickstart_continues_where_it_was(tmp_path: Path) -> None:
    assert run(tmp_path, "quickstart.py").splitlines()[-1] == "ai: that was message 1"
    assert run(tmp_path, "quickstart.py").splitlines()[-1] == "ai: that was message 3"


def test_a_document_by_handle(tmp_path: Path) -> None:
    output = run(tmp_path, "handles.py")
    assert "under ckptblob:" in output
    assert "pages, beginning with" in output
    assert output.count("step ") == 4


def test_the_demo_on_sqlite_and_postgres(tmp_path: Path, postgres_url: str) -> None:
    for arguments in ([], ["--url", postgres_url, str(CHECKOUT / "README.md")]):
        output = run(tmp_path, "demo.py", *arguments)
        assert "10 of 10 threads have the state and the open question that they had" in output
        assert "10 of 10 summaries are approved" in output
        assert "ckpt_checkpoint" in output


def test_the_demo_reports_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    command = [sys.executable, str(CHECKOUT / "examples" / "demo.py"), "missing.txt"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "missing.txt" in done.stderr
    assert "Traceback" not in done.stderr
