"""Agents on one checkpoint store, and each of its promises with a figure: `python examples/demo.py --help`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from agent import UnreadableDocument, passages_of
from promises import Demo, DemoFailed, Document

from ckptstore.db.url import is_memory, parse_database_url
from ckptstore.errors import CkptStoreError

SHIPPED = Path(__file__).parent / "documents"
FOLDER = Path("demo-data")


def documents_at(paths: Sequence[Path]) -> list[Document]:
    """The files, read and tried before anything is stored.

    Raises:
        DemoFailed: a file is missing, or has no text; the message names it.
    """
    found = []
    for path in paths:
        try:
            document = Document(path.name, path.read_bytes())
            passages_of(document.name, document.content)
        except OSError as exc:
            raise DemoFailed(f"{path} can't be read: {exc.strerror}") from exc
        except UnreadableDocument as exc:
            raise DemoFailed(str(exc)) from exc
        found.append(document)
    return found


def fresh_database() -> str:
    """The path of a SQLite file that does not exist yet; what an earlier demo left is deleted."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    return str(FOLDER.absolute() / "checkpoints.sqlite")


def main() -> None:
    logging.basicConfig(level=logging.ERROR)  # A refusal is logged as a warning, too; here it is shown.
    parser = argparse.ArgumentParser(description="Agents on one checkpoint store, and each of its promises with a figure.")
    parser.add_argument("--url", help="the database: a file's path or a URL (default: a new file in demo-data)")
    parser.add_argument("--blob-url", help="where large values are stored, e.g. s3://bucket/prefix (default: next to the file)")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="texts and PDFs to read (default: the ones shipped)")
    given = parser.parse_args()
    try:
        if given.url and is_memory(parse_database_url(given.url)):
            raise DemoFailed("the demo closes its database and opens it again, so it can't live in memory")
        documents = documents_at(given.files or sorted(path for path in SHIPPED.iterdir() if path.suffix in (".md", ".pdf")))
        url = given.url or fresh_database()
        FOLDER.mkdir(exist_ok=True)
        asyncio.run(Demo(url, given.blob_url, documents, FOLDER.absolute()).run())
    except (DemoFailed, CkptStoreError) as exc:
        sys.exit(f"demo: {exc}")


if __name__ == "__main__":
    main()
