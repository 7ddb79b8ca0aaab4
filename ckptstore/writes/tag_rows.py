"""Deletes and inserts the rows of stored checkpoints in the tag index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import Row
from ckptstore.reads.rows import parsed_metadata
from ckptstore.records import CheckpointKey
from ckptstore.tags.encoding import postings
from ckptstore.writes.rows import tag_rows


def stored_tag_rows(checkpoints: Iterable[tuple[CheckpointKey, str]]) -> list[Row]:
    """The rows that stored checkpoints may have in the tag index, from each one's metadata as JSON.

    The index itself is ordered by tag and can't be searched by checkpoint.

    Raises:
        CheckpointCorrupt: the metadata of one was altered and can't be parsed.
    """
    return [row for key, metadata in checkpoints for row in tag_rows(key, postings(parsed_metadata(key, metadata)))]


def delete_tags(db: Db, rows: Sequence[Row]) -> None:
    """Delete rows of the tag index."""
    if rows:
        db.run(sql.delete.delete_tags, db.key_parameters(sql.tables.TAG_KEY, rows))


def insert_tags(db: Db, rows: Sequence[Row]) -> None:
    """Add rows to the tag index; existing ones are kept."""
    db.insert(sql.tables.TAG, "keep", rows)
