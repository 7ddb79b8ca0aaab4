"""Takes the files or the schema of a write test away when the test's process ends, however it ends: also when it is killed.

`doctor_measure` runs it as a process of its own: it reads what to take away from its input, and waits for the end of that.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ckptstore.db.connection import Db
from ckptstore.db.open import open_database
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import parse_database_url
from ckptstore.errors import CkptStoreError


@contextmanager
def cleaned_up(*, folder: str | None = None, url: str | None = None, schemas: list[str] | None = None) -> Iterator[None]:
    """After this context, and after a death of this process within it, a folder or schemas are gone.

    Args:
        folder: is deleted with all that is in it.
        url: of the database of the schemas, with its password: it is passed through a pipe.
        schemas: are dropped.

    Raises:
        CkptStoreError: they could not be taken away.
    """
    # Not `-m`: the package imports this module, which runpy would warn of.
    command = [sys.executable, "-c", "from ckptstore.cli.doctor_cleanup import main; main()"]
    # In a session of its own: Ctrl-C is for this process, which ends the test first.
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, text=True) as process:  # noqa: S603 - nothing of it is a user's
        assert process.stdin is not None
        process.stdin.write(json.dumps({"folder": folder, "url": url, "schemas": schemas or []}) + "\n")
        process.stdin.flush()
        yield
    if process.returncode:
        raise CkptStoreError(f"what the write test stored was not taken away: {folder or ', '.join(schemas or [])}; delete it")


def main() -> None:
    """Wait for the end of the input, then clean up."""
    given: dict[str, Any] = json.loads(sys.stdin.readline())
    sys.stdin.read()
    if given["folder"] is not None:
        shutil.rmtree(given["folder"], ignore_errors=True)
    if given["url"] is not None:
        runner = open_database(parse_database_url(given["url"]), DatabaseSettings())
        try:
            runner.write(partial(_drop, schemas=given["schemas"])).result()
        finally:
            runner.close()


def _drop(db: Db, schemas: list[str]) -> None:
    db.expect_long()
    for name in schemas:
        db.execute(f"DROP SCHEMA IF EXISTS {db.connection.dialect.identifier_preparer.quote(name)} CASCADE")
