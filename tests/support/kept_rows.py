"""What a test wrote, kept to be put into other databases of the same kind: runs of graphs take longer than their rows."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from ckptstore.db.models import Base

_OUT, _IN = SQL("COPY {} TO STDOUT (FORMAT binary)"), SQL("COPY {} FROM STDIN (FORMAT binary)")


def _server(url: str) -> str:
    return "postgresql://" + url.partition("://")[2]


@dataclass(frozen=True)
class KeptRows:
    """All rows of a database and its blobs, as files of a folder."""

    folder: Path
    #: Where the blobs are: the database knows, and would be right to refuse another folder.
    blobs: Path

    @classmethod
    def of(cls, url: str, blobs: Path, folder: Path) -> KeptRows:
        """Keep what a database has that nobody has open."""
        if blobs.exists():
            shutil.copytree(blobs, folder / "blobs")
        if "://" not in url:
            assert not Path(f"{url}-wal").exists()
            shutil.copyfile(url, folder / "file")
            return cls(folder, blobs)
        with psycopg.connect(_server(url)) as connection, connection.cursor() as cursor:
            for table in Base.metadata.tables:
                with cursor.copy(_OUT.format(Identifier(table))) as rows:
                    (folder / table).write_bytes(b"".join(rows))
        return cls(folder, blobs)

    def put(self, url: str) -> None:
        """Put them into an empty database, and the blobs where they were."""
        shutil.rmtree(self.blobs, ignore_errors=True)
        if (self.folder / "blobs").exists():
            shutil.copytree(self.folder / "blobs", self.blobs)
        if "://" not in url:
            shutil.copyfile(self.folder / "file", url)
            return
        with psycopg.connect(_server(url)) as connection, connection.cursor() as cursor:
            for table in Base.metadata.sorted_tables:
                with cursor.copy(_IN.format(Identifier(table.name))) as rows:
                    rows.write((self.folder / table.name).read_bytes())
