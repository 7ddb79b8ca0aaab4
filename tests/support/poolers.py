"""A real pgbouncer before a PostgreSQL server of the tests."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

#: Debian installs it where only root's PATH leads.
PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
SERVER_CONNECTIONS = 3


def keeps_prepared_statements() -> bool:
    """Whether it prepares a client's statements on each server connection, by default, in transaction mode: since 1.24."""
    shown = subprocess.run([str(PGBOUNCER), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)", shown)
    assert found is not None, shown
    return (int(found[1]), int(found[2])) >= (1, 24)


@contextmanager
def pgbouncer(folder: Path, server_url: str, mode: str, *settings: str) -> Iterator[str]:
    """A pgbouncer before a server, with fewer server connections than a saver opens; gives its `postgresql://` URL.

    Args:
        folder: for its files.
        server_url: of the server, on a Unix socket.
        mode: `transaction` or `session`.
        settings: further lines of its configuration.
    """
    server = urlsplit(server_url)
    (socket_folder,), database = parse_qs(server.query)["host"], server.path.lstrip("/")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "users.txt").write_text('"postgres" ""\n')
    lines = [
        "[databases]",
        f"{database} = host={socket_folder} dbname={database} user=postgres",
        "[pgbouncer]",
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =",
        f"auth_type = any\nauth_file = {folder}/users.txt",
        f"pool_mode = {mode}\nmax_client_conn = 100",
        f"default_pool_size = {SERVER_CONNECTIONS if mode == 'transaction' else 50}",
        f"logfile = {folder}/log\npidfile = {folder}/pid",
        *settings,
    ]
    (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
    # Who alone may open the server's socket.
    owner = Path(socket_folder).owner()
    for path in (*folder.parents[: len(folder.parents) - 2], folder, *folder.iterdir()):
        if path.owner() != owner:
            path.chmod(path.stat().st_mode | 0o055)
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, owner)
    process = subprocess.Popen([str(PGBOUNCER), "-q", "-u", owner, str(folder / "pgbouncer.ini")])
    url = f"postgresql://postgres@127.0.0.1:{port}/{database}"
    try:
        _wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(url: str) -> None:
    """Return as soon as connections are accepted."""
    until = time.monotonic() + 10
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
