"""Commands in processes of their own that are killed before their n-th statement, or that end."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from itertools import count
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from ckptstore.cli import main
from ckptstore.db.connection import Db
from ckptstore.transfer import parcel
from tests.support.forks import fork


class Ended(NamedTuple):
    """How a command ended by itself."""

    status: int
    output: str
    #: How many statements it executed.
    statements: int


def run(*arguments: str, kill_at: int | None = None) -> Ended | None:
    """Run a command; None if it was killed before its n-th statement. A transfer stores each thread in a transaction of its own."""
    process, sent = fork(_run, arguments, kill_at)
    with sent:
        try:
            ended = Ended(*sent.recv())
        except EOFError:
            ended = None
    process.join()
    assert process.exitcode == (-signal.SIGKILL if ended is None else 0)
    return ended


def _run(told: Connection, arguments: Sequence[str], kill_at: int | None) -> None:
    parcel._THREADS_PER_PARCEL = 1
    executed = count()
    for name in ("run", "run_rows", "scan", "insert", "execute"):
        setattr(Db, name, _counted(getattr(Db, name), executed, kill_at))
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        status: Any = 0
        try:
            main(arguments)
        except SystemExit as exc:
            status = exc.code or 0
    told.send((status, output.getvalue(), next(executed)))


def _counted(original: Callable[..., Any], executed: Any, kill_at: int | None) -> Callable[..., Any]:
    def counted(*arguments: Any, **named: Any) -> Any:
        if next(executed) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)

    return counted
