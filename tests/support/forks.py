"""Processes of their own that are forked from one that has imported everything: each import of it takes a second."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
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
