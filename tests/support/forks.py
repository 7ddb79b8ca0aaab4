"""Processes of their own that are forked from one that has imported everything: each import of it takes a second."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NamedTuple

# It has no other thread. What a process runs is imported there once, if it is in one of these modules.
_forks = multiprocessing.get_context("forkserver")
_LIBRARIES = ["aiosqlite", "alembic.command", "asyncpg", "psycopg"]
_forks.set_forkserver_preload([*_LIBRARIES, "ckptstore.cli", "tests.support.kills", "tests.support.programs"])


class Fork(NamedTuple):
    """A process, and what it sends."""

    process: ForkServerProcess
    sent: Connection

    def everything(self) -> list[Any]:
        """What it sends until it ends."""
        found = []
        with self.sent:
            try:
                while True:
                    found.append(self.sent.recv())
            except EOFError:
                self.process.join()
        return found


def fork(program: Callable[..., None], *arguments: Any) -> Fork:
    """Start a process that calls `program(connection, *arguments)`, where the connection takes what it sends."""
    ours, theirs = _forks.Pipe(duplex=False)
    process = _forks.Process(target=program, args=(theirs, *arguments))
    process.start()
    theirs.close()
    return Fork(process, ours)


class Ended(NamedTuple):
    """How a script ended, like `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def run_script(script: Path, *arguments: str, folder: Path, strict: bool = False, environment: Mapping[str, str] | None = None) -> Ended:
    """What `python script arguments` does in a folder, with the environment of now.

    Args:
        script: the file.
        arguments: what it gets.
        folder: the current one.
        strict: with every warning an error, except of what is imported already.
        environment: variables besides.
    """
    with tempfile.TemporaryDirectory() as printed:
        paths = [Path(printed) / name for name in ("stdout", "stderr")]
        process, sent = fork(_run_script, script, arguments, folder, {**os.environ, **(environment or {})}, strict, paths)
        sent.close()
        process.join()
        assert process.exitcode is not None
        return Ended(process.exitcode, *(path.read_text() for path in paths))


def _run_script(
    _told: Connection, script: Path, arguments: Sequence[str], folder: Path, environment: dict[str, str], strict: bool, paths: list[Path]
) -> None:
    for number, path in enumerate(paths, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.parent))
    if strict:
        warnings.simplefilter("error")
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        # What an interpreter does at its end, and a process of this kind does not.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
