"""What the README tells a newcomer to run does run, and does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.forks import run_script
from tests.support.s3 import moto_server

CHECKOUT = Path(__file__).parents[2]

# The second is of Python 3.14 about LangGraph and LangSmith.
WARNINGS = ("-W", "error", "-W", "ignore:'asyncio.iscoroutinefunction' is deprecated:DeprecationWarning")


def run(folder: Path, script: str, *arguments: str) -> str:
    done = run_script(CHECKOUT / "examples" / script, *arguments, folder=folder, strict=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_shows_the_quickstart_as_it_is() -> None:
    assert (CHECKOUT / "examples" / "quickstart.py").read_text() in (CHECKOUT / "README.md").read_text()


def test_a_page_shows_the_web_server_as_it_is() -> None:
    # Its own test is on the page, and runs there.
    assert (CHECKOUT / "examples" / "double_texting.py").read_text() in (CHECKOUT / "docs" / "how-to" / "double-texting.md").read_text()


def test_the_quickstart_continues_where_it_was(tmp_path: Path) -> None:
    # Once with an interpreter of its own, where imports may warn too.
    command = [sys.executable, *WARNINGS, str(CHECKOUT / "examples" / "quickstart.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "ai: that was message 1"
    assert run(tmp_path, "quickstart.py").splitlines()[-1] == "ai: that was message 3"


def test_a_document_by_handle(tmp_path: Path) -> None:
    output = run(tmp_path, "handles.py")
    assert "under ckptblob:" in output
    assert "pages, beginning with" in output
    assert output.count("step ") == 4


def test_the_demo_on_sqlite_and_postgres(tmp_path: Path, postgres_url: str) -> None:
    long_text = tmp_path / "long.txt"
    long_text.write_text("A sentence of eight words that ends here now. " * 180_000)  # 8 MB
    for arguments in ([], ["--url", postgres_url, str(CHECKOUT / "README.md"), str(long_text)]):
        output = run(tmp_path, "demo.py", *arguments)
        assert "20 of 20 threads have the state and the question that they had; 20 are answered" in output
        assert ("the blob store has 1 object more" in output) == (not arguments)
        assert "CheckpointTooLarge: checkpoint of thread" in output
        assert "25 checkpoints of 5 threads, equal when read" in output


def test_the_demo_fails_where_nothing_can_be_uploaded(tmp_path: Path) -> None:
    with moto_server("bucket") as s3:
        missing = f"s3://no-such-bucket/x?endpoint_url={s3.url}"
        done = run_script(CHECKOUT / "examples" / "demo.py", "--blob-url", missing, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("demo: ")
    assert "no-such-bucket" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_demo_reports_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    done = run_script(CHECKOUT / "examples" / "demo.py", "missing.txt", folder=tmp_path)
    assert done.returncode != 0
    assert "missing.txt" in done.stderr
    assert "Traceback" not in done.stderr
