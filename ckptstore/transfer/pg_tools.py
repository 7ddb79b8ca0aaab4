"""PostgreSQL's own programs, pg_dump and pg_restore, where they are installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from sqlalchemy import URL

from ckptstore.db.connection import Db
from ckptstore.db.secrets import is_secret
from ckptstore.errors import DatabaseUnavailable, InvalidConfig

#: Names the folder of the programs, where there are several releases of them.
FOLDER_VARIABLE = "CKPTSTORE_PG_BIN"
# Parameters of a URL that libpq knows; the others are a driver's own.
_OF_LIBPQ = ("host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "connect_timeout", "options", "target_session_attrs")
_LONGEST_SHOWN = 500
# A line of the list of a dump, and what the name of a partition ends with.
_DATA = re.compile(r"^\d+; \d+ \d+ TABLE DATA .*\b(ckpt_\w+) \S+$", re.MULTILINE)
_PARTITION = re.compile(r"_p\d+$")


class PgTools(NamedTuple):
    """The programs, and their release."""

    dump: str
    restore: str
    major: int


def find_tools(folder: str | None) -> PgTools | None:
    """The programs in a folder, or those that the shell would find; None if they are not installed."""
    dump, restore = (shutil.which(name, path=folder) for name in ("pg_dump", "pg_restore"))
    if dump is None or restore is None:
        return None
    said = subprocess.run([dump, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    version = re.search(r"(\d+)[.\d]*", said)
    return PgTools(dump, restore, int(version.group(1))) if version else None


class Server(NamedTuple):
    """A PostgreSQL server, and the schema of our tables there."""

    major: int
    schema: str


def server_of(db: Db) -> Server:
    """The server behind a connection."""
    ((number, schema),) = db.execute("SELECT CAST(current_setting('server_version_num') AS integer), current_schema()")
    return Server(int(number) // 10_000, db.statements.schema or schema)


def tools_for(server: Server, folder: str | None) -> PgTools:
    """The programs that can dump a server.

    Raises:
        InvalidConfig: they are not installed, or older than the server.
    """
    way_out = (
        f"install postgresql-client-{server.major}, name its folder (--pg-bin, or ${FOLDER_VARIABLE}), or store the copy as a SQLite "
        "file (--format sqlite)"
    )
    tools = find_tools(folder)
    if tools is None:
        raise InvalidConfig(f"pg_dump and pg_restore are not {f'in {folder}' if folder else 'installed'}: {way_out}")
    if tools.major < server.major:
        raise InvalidConfig(f"pg_dump is of release {tools.major}, and dumps no server of release {server.major}: {way_out}")
    return tools


def dump_tables(tools: PgTools, url: URL, schema: str, file: Path) -> None:
    """Dump our tables of a schema in the custom format, in one snapshot, while others write. Blocks.

    Raises:
        DatabaseUnavailable: pg_dump failed; the message is its own.
    """
    quoted = schema.replace('"', '""')
    # Partitions are loaded through their table, so that there may be another number of them, or none.
    how = ["--format=custom", "--no-owner", "--no-privileges", "--load-via-partition-root", "--encoding=UTF8"]
    arguments = [tools.dump, *how, f'--table="{quoted}".ckpt_*', f"--file={file}", f"--dbname={_address(url)}"]
    environment = {**os.environ, "PGPASSWORD": url.password} if url.password else dict(os.environ)
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment, check=False, stdin=subprocess.DEVNULL)  # noqa: S603
    if done.returncode:
        raise DatabaseUnavailable(f"pg_dump failed: {_last_line(done.stderr, url)}")


@contextmanager
def dumped_text(tools: PgTools, file: Path, *tables: str) -> Iterator[IO[bytes]]:
    """The rows of a dump as statements of SQL, those of some tables or all.

    Raises:
        InvalidConfig: pg_restore can't read the dump.
    """
    chosen = [f"--table={name}" for name in _parts_of(tools, file, tables)]
    arguments = [tools.restore, "--data-only", "--file=-", *chosen, str(file)]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as process:  # noqa: S603
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            yield process.stdout
        except BaseException:
            process.kill()
            raise
        said = process.stderr.read().decode(errors="replace")
    if process.returncode:
        raise InvalidConfig(f"pg_restore {tools.major} can't read the dump: {_last_line(said, None)}")


def _parts_of(tools: PgTools, file: Path, tables: Collection[str]) -> list[str]:
    """The names under which a dump has the rows of some tables: those of their partitions, if they have any."""
    if not tables:
        return []
    arguments = [tools.restore, "--list", str(file)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S603
    found = _DATA.findall(done.stdout)
    # If the dump can't be read, no name is found, and the program that reads the rows then says why.
    return [name for name in found if _PARTITION.sub("", name) in tables] or [*tables]


def _address(url: URL) -> str:
    """The URL as libpq takes it, without a secret: every user of the machine sees the arguments of a program."""
    query = {name: value for name, value in url.query.items() if name in _OF_LIBPQ and not is_secret(name)}
    if isinstance(mode := url.query.get("ssl"), str) and "sslmode" not in query:
        query["sslmode"] = mode
    return URL.create("postgresql", url.username, None, url.host, url.port, url.database, query).render_as_string(hide_password=False)


def _last_line(said: str, url: URL | None) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    # The first one names the reason; a later one repeats the statement.
    message = lines[0][:_LONGEST_SHOWN] if lines else "it says nothing"
    return message.replace(url.password, "***") if url is not None and url.password else message
