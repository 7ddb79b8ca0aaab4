"""Moving blobs, collecting and verifying from the command line, on local folders and S3 over HTTP."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import tempfile
import termios
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ckptstore import SQLAlchemySaver, cli
from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.blobs.copy import CopyReport, copy_blobs
from ckptstore.cli import main
from ckptstore.db.connection import Db
from tests.support.build import config, put
from tests.support.forks import run_script
from tests.support.s3 import S3Server

COMMAND_LINE = Path(cli.__file__).with_name("__main__.py")
FILES = [os.urandom(70_000 + number) for number in range(12)]


@pytest.fixture
async def filled(tmp_path: Path) -> str:
    """A database whose blobs are in a folder."""
    url = str(tmp_path / "checkpoints.sqlite")
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        for number, content in enumerate(FILES):
            await put(saver, config(f"t{number}"), {"file": content})
    return url


def process(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "ckptstore.cli", *arguments], capture_output=True, text=True, check=False, **more)


def command(*arguments: str) -> Result:
    """Run a command on a thread of its own, since its event loop is its own; a process takes a second to start.

    Raises:
        Exception: a process would have printed its traceback.
    """
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(CliRunner().invoke, main, arguments).result()
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def some_blob(url: str) -> Path:
    return next(path for path in Path(f"{url}.blobs").rglob("*") if path.is_file())


async def copy(source: BlobBackend, target: BlobBackend) -> CopyReport:
    return await copy_blobs(source, target, lambda _objects, _bytes: None, lambda _bytes: None)


async def test_blobs_move_to_s3_and_everything_reads_as_before(filled: str, tmp_path: Path, s3: S3Server, bucket: str) -> None:
    arguments = ("blobs", "copy", "--from", f"{filled}.blobs", "--to", s3.bucket_url(bucket))
    done = run_script(COMMAND_LINE, *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "12 blobs copied" in done.stdout
    assert "100%" in done.stderr
    async with SQLAlchemySaver.from_conn_string(filled, blob_url=s3.bucket_url(bucket)) as saver:
        for number, content in enumerate(FILES):
            found = await saver.aget_tuple(config(f"t{number}"))
            assert found is not None
            assert found.checkpoint["channel_values"]["file"] == content
        assert (await saver.averify(deep=True)).ok
    again = run_script(COMMAND_LINE, *arguments, folder=tmp_path)
    assert "0 blobs copied" in again.stdout
    assert "12 already at the target" in again.stdout


async def test_an_altered_blob_is_not_moved_and_keeps_no_other(filled: str, tmp_path: Path) -> None:
    victim = some_blob(filled)
    victim.write_bytes(b"x" * victim.stat().st_size)
    done = command("blobs", "copy", "--from", f"{filled}.blobs", "--to", str(tmp_path / "target"))
    assert done.exit_code == 1
    assert "11 blobs copied" in done.stdout
    assert victim.name in done.stderr
    assert "altered" in done.stderr


async def test_what_is_not_ours_is_left_alone(filled: str, tmp_path: Path) -> None:
    (Path(f"{filled}.blobs") / "README.txt").write_text("not a blob")
    done = command("blobs", "copy", "--from", f"{filled}.blobs", "--to", str(tmp_path / "target"))
    assert done.exit_code == 0
    assert "not copied, not a blob of ckptstore: README.txt" in done.stderr
    assert not (tmp_path / "target" / "README.txt").exists()


async def test_collecting_and_verifying_from_the_command_line(filled: str) -> None:
    async with SQLAlchemySaver.from_conn_string(filled) as saver:
        await saver.adelete_thread("t0")
    assert "0 blobs would be deleted" in command("blobs", "collect", "--url", filled, "--grace-hours", "0", "--dry-run").stdout
    assert "1 marked" in command("blobs", "collect", "--url", filled, "--grace-hours", "0").stdout
    assert "1 blob deleted (70,000 bytes)" in command("blobs", "collect", "--url", filled, "--grace-hours", "0").stdout
    fine = command("blobs", "verify", "--url", filled, "--deep")
    assert fine.exit_code == 0
    assert "11 blobs" in fine.stdout
    assert "nothing is missing or corrupt" in fine.stdout
    some_blob(filled).unlink()
    harmed = command("blobs", "verify", "--url", filled)
    assert harmed.exit_code == 1
    assert "missing blob: " in harmed.stderr
    assert "FAILED" in harmed.stdout


def test_a_full_temporary_disk_is_reported_without_a_traceback(filled: str, tmp_path: Path) -> None:
    limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))}
    copied = process("blobs", "copy", "--from", f"{filled}.blobs", "--to", str(tmp_path / "target"), **limited)
    assert copied.returncode == 1
    failures = [line for line in copied.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failures) == 12
    assert all("File too large" in line for line in failures)
    assert "Traceback" not in copied.stderr


@pytest.mark.parametrize("wrong", ["copy", "verify"])
def test_a_missing_temporary_folder_is_reported(filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "mkstemp", full)
    arguments = {
        "copy": ["blobs", "copy", "--from", f"{filled}.blobs", "--to", str(tmp_path / "target")],
        "verify": ["blobs", "verify", "--deep", "--url", filled],
    }
    done = CliRunner().invoke(main, arguments[wrong])
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert "No space left" in done.output


@pytest.mark.parametrize("source", ["nowhere", "empty", "strange"])
def test_a_source_without_blobs_is_reported(tmp_path: Path, source: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "README.txt").write_text("not a blob")
    done = command("blobs", "copy", "--from", str(tmp_path / source), "--to", str(tmp_path / "target"))
    assert done.exit_code == 1
    assert f"{tmp_path / source} does not exist, or has no blobs" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("hours", ["nan", "inf", "-inf", "-5", "1e300"])
def test_hours_that_are_none_are_a_usage_error(filled: str, hours: str) -> None:
    done = CliRunner().invoke(main, ["blobs", "collect", "--url", filled, f"--grace-hours={hours}"])
    assert done.exit_code == 2
    assert "--grace-hours" in done.output


@pytest.mark.parametrize(("name", "shown"), [("verify", "checking"), ("collect", "collecting")])
def test_what_takes_long_is_shown_on_a_terminal_only(filled: str, name: str, shown: str) -> None:
    screen, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    arguments = [sys.executable, "-m", "ckptstore.cli", "blobs", name, "--url", filled]
    subprocess.run(arguments, stdout=subprocess.DEVNULL, stderr=terminal, check=True, timeout=60)
    os.write(terminal, b"the end")
    seen = b""
    while b"the end" not in seen:
        seen += os.read(screen, 4096)
    os.close(screen)
    os.close(terminal)
    assert shown in seen.decode()
    assert command("blobs", name, "--url", filled).stderr == ""


def test_a_copy_reports_that_it_lists(filled: str, tmp_path: Path) -> None:
    done = command("blobs", "copy", "--from", f"{filled}.blobs", "--to", str(tmp_path / "target"))
    assert "listing" in done.stderr.partition("copying")[0]
    assert "copying: 100%" in done.stderr


async def test_what_a_value_lacks_is_reported(filled: str) -> None:
    async with SQLAlchemySaver.from_conn_string(filled) as saver:
        await put(saver, config("t"), {"messages": [f"{number} " * 50 for number in range(100)]})

        def lose(db: Db) -> None:
            db.connection.exec_driver_sql("DELETE FROM ckpt_segment WHERE object_key IS NULL")

        saver.store.runner.write(lose).result()
    done = command("blobs", "verify", "--url", filled)
    assert done.exit_code == 1
    assert "missing segment: ('t', " in done.stderr
    assert "FAILED" in done.stdout


def test_a_url_that_cannot_be_used_is_reported_without_a_traceback(tmp_path: Path) -> None:
    done = command("blobs", "copy", "--from", str(tmp_path), "--to", "nonsense://somewhere")
    assert done.exit_code == 1
    assert "nonsense" in done.stderr
    assert "Traceback" not in done.stderr
