"""Copying a thread to another thread id inside the database, in small transactions.

First every row is copied, the checkpoints hidden: no read finds them. Then they are shown, newest first. Nothing that a checkpoint is
read from may have been deleted between its copy and that: each deletion increments the generation of its thread, which is compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import starmap
from typing import Any, NamedTuple

from sqlalchemy import Table

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import CheckpointCells, Row
from ckptstore.maintenance.prune_plan import MAX_METADATA_CHARACTERS, CheckpointRef
from ckptstore.maintenance.thread_rows import CheckpointMetadata, ThreadStamp, indexed_tag_rows, lock_thread, read_stamp
from ckptstore.reads.rows import parsed_metadata
from ckptstore.records import CheckpointKey, StateFormat
from ckptstore.tags.keys import TagKeys
from ckptstore.values.checksums import HIDDEN, checkpoint_checksum, copy_mask
from ckptstore.writes.rows import new_generation
from ckptstore.writes.tag_rows import insert_tags

# How much one transaction copies: other writes on SQLite wait some milliseconds for it.
_ROWS_AT_ONCE = 500
_BYTES_AT_ONCE = 4 * 1024 * 1024
# How many checkpoints one transaction makes visible: a larger copy appears newest first. Other writes on SQLite wait for it.
_SHOWN_AT_ONCE = 1_000
_METADATA_AT_ONCE = 2 * MAX_METADATA_CHARACTERS
_LEAST_INTEGER = -(2**63)


class ThreadCopy(NamedTuple):
    """A copy that has begun."""

    source: str
    target: str
    #: As long as neither generation rises, nothing was deleted of the two threads.
    source_stamp: ThreadStamp
    target_generation: int
    #: The checkpoints that the source had then, newest first, in parts that appear at once: at least one, which may be empty.
    parts: Sequence[Sequence[CheckpointRef]]
    #: Whether the source has changed since, so that rows may have been copied that no shown checkpoint needs.
    has_extra_rows: bool = False


class KeyRange(NamedTuple):
    """A thread's rows of one table after a key, up to another."""

    table_no: int
    after: tuple[Any, ...]
    last: tuple[Any, ...]


class Position(NamedTuple):
    """Where the next transaction continues."""

    table_no: int
    #: The key of the last row that was copied, without the thread; None at the start of a table.
    after: tuple[Any, ...] | None = None


def begin_copy(db: Db, source: str, target: str) -> ThreadCopy | None:
    """Note what a thread has; None if there is no such thread."""
    db.expect_long()
    parameters = {"thread_id": source, "target": target, "generation": new_generation()}
    if db.abilities.database.joins_threads:
        db.run(sql.copy.copy_thread_row, parameters)
    else:
        db.insert(sql.tables.THREAD, "keep", [tuple(row) for row in db.run(sql.copy.copied_thread_row, parameters)])
    with db.transaction():
        stamps = _lock(db, source, target)
        of_source, of_target = stamps[source], stamps[target]
        if of_source is None or of_target is None:
            return None
        shown = db.run(sql.checkpoints.visible_refs, {"thread_id": source}).all()
    return ThreadCopy(source, target, of_source, of_target.generation, list(_shown_together(shown)))


def _shown_together(shown: Sequence[tuple[str, str, int]]) -> Iterator[Sequence[CheckpointRef]]:
    """Checkpoints in parts that one transaction shows: few if their metadata is long, and has many tags."""
    part: list[CheckpointRef] = []
    size = 0
    for namespace, id_, length in shown:
        size += length
        if part and (len(part) == _SHOWN_AT_ONCE or size > _METADATA_AT_ONCE):
            yield part
            part, size = [], length
        part.append(CheckpointRef(namespace, id_))
    yield part


def next_ranges(db: Db, source: str, position: Position) -> tuple[Sequence[KeyRange], Position | None]:
    """The rows that the next transaction copies, and where the one after it continues; None at the end."""
    db.expect_long()
    ranges: list[KeyRange] = []
    rows_left, bytes_left = _ROWS_AT_ONCE, _BYTES_AT_ONCE
    while position.table_no < len(sql.copy.COPIED):
        table = sql.copy.COPIED[position.table_no]
        after = position.after or _least_key(position.table_no)
        rows = db.run(sql.copy.key_sizes, {**_named("after", position.table_no, source, after), "page_size": rows_left}, table).all()
        taken = 0
        for size, *_ in rows:
            # At least one row a transaction, however large.
            if bytes_left < size and (taken or ranges):
                break
            taken, bytes_left = taken + 1, bytes_left - size
        if taken:
            last = tuple(rows[taken - 1][2:])
            ranges.append(KeyRange(position.table_no, after, last))
            position = Position(position.table_no, last)
        if taken == rows_left or taken < len(rows):
            return ranges, position
        rows_left -= taken
        position = Position(position.table_no + 1)
    return ranges, None


def copy_ranges(db: Db, copy: ThreadCopy, ranges: Sequence[KeyRange]) -> None:
    """Copy some rows, in one transaction. Rows that the target has already under the same keys stay as they are."""
    db.expect_long()
    parameters = {"target": copy.target, "checksum_mask": copy_mask(copy.source, copy.target)}
    with db.transaction():
        # Locked, so that no segment's object is collected meanwhile.
        _lock(db, copy.source, copy.target)
        for number, after, last in ranges:
            keys = {**_named("after", number, copy.source, after), **_named("last", number, copy.source, last)}
            _copy_rows(db, sql.copy.COPIED[number], {**parameters, **keys})


def _copy_rows(db: Db, table: Table, parameters: Mapping[str, Any]) -> None:
    if db.abilities.database.joins_threads:
        db.run(sql.copy.copy_rows, parameters, table)
    else:
        db.insert(table, "keep", [tuple(row) for row in db.run(sql.copy.copied_rows, parameters, table)])


def show(
    db: Db, copy: ThreadCopy, refs: Sequence[CheckpointRef], tag_keys: TagKeys, state_format: StateFormat, *, first: bool
) -> ThreadCopy | None:
    """Show some checkpoints of a copy, and add their tags, in one transaction.

    Args:
        db: the database.
        copy: the copy, all of whose rows were copied.
        refs: the checkpoints.
        tag_keys: which metadata keys are in the tag index.
        state_format: what the checkpoints' metadata means.
        first: whether nothing is shown yet.

    Returns:
        The copy for the next call; None if something was deleted of one of the threads meanwhile: then the copy has to begin again.
    """
    db.expect_long()
    with db.transaction():
        stamps = _lock(db, copy.source, copy.target)
        if _generation(stamps[copy.target]) != copy.target_generation:
            return None
        # Once something is shown, everything was copied.
        if first and _generation(stamps[copy.source]) != copy.source_stamp.generation:
            return None
        keys = db.key_parameters(sql.tables.CHECKPOINT_KEY, [(copy.target, *ref) for ref in refs])
        shown = db.run(sql.copy.show_checkpoints, keys).all() if refs else []
        found = [CheckpointMetadata(CheckpointKey(copy.target, ns, id_), metadata) for ns, id_, metadata, _ in shown]
        found = _name_thread(db, copy, found, state_format)
        insert_tags(db, indexed_tag_rows(found, tag_keys, state_format))
        added = {"checkpoint_count": -len(shown), "size": -sum(size for *_, size in shown)}
        db.run(sql.threads.subtract_deleted, {"thread_id": copy.target, **added})
    extra = copy.has_extra_rows or (first and stamps[copy.source] != copy.source_stamp)
    return copy._replace(target_generation=copy.target_generation + 1, has_extra_rows=extra)


def _name_thread(db: Db, copy: ThreadCopy, shown: list[CheckpointMetadata], state_format: StateFormat) -> list[CheckpointMetadata]:
    """Name the copy in the metadata of those checkpoints that name the thread they were copied from."""
    naming = [each for each in shown if _names(each.key, each.metadata, copy.source, state_format)]
    if not naming:
        # Nearly always.
        return shown
    keys = db.key_parameters(sql.tables.CHECKPOINT_KEY, [each.key for each in naming])
    rows = [tuple(row) for row in db.run(sql.copy.whole_checkpoints, keys)]
    renamed = [with_thread_named(row, copy.source, copy.target, state_format) for row in rows]
    db.insert(sql.tables.CHECKPOINT, "replace", renamed)
    texts = {cells.key: cells.metadata for cells in starmap(CheckpointCells, renamed)}
    return [each._replace(metadata=texts.get(each.key, each.metadata)) for each in shown]


def _names(key: CheckpointKey, metadata: str, thread_id: str, state_format: StateFormat) -> bool:
    # A search in the text first: parsing takes much longer.
    return state_format.thread_key in metadata and bool(parsed_metadata(key, metadata).get(state_format.thread_key) == thread_id)


def with_thread_named(row: Row, source: str, target: str, state_format: StateFormat) -> Row:
    """The row of a checkpoint of thread `target`, whose metadata names that thread if it named thread `source`.

    Raises:
        CheckpointCorrupt: the metadata can't be parsed.
    """
    of = CheckpointCells(*row)
    if not _names(CheckpointKey(*of.key), of.metadata, source, state_format):
        return row
    text = json.dumps({**json.loads(of.metadata), state_format.thread_key: target}, ensure_ascii=False, separators=(",", ":"))
    checksum = of.checksum
    if checksum is not None:
        payload = (of.format, of.type, of.body, of.channel_versions, text, of.value_count)
        checksum = checkpoint_checksum(of.key, of.parent_checkpoint_id, *payload) ^ (HIDDEN if of.hidden else 0)
    return tuple(of._replace(metadata=text, hidden=bool(of.hidden), checksum=checksum))


def checkpoint_count(db: Db, thread_id: str) -> int:
    """How many checkpoints a thread has."""
    stamp = read_stamp(db, thread_id)
    return 0 if stamp is None else stamp.checkpoint_count


def _lock(db: Db, *threads: str) -> dict[str, ThreadStamp | None]:
    # In the order in which batches of writes lock threads too.
    return {thread_id: lock_thread(db, thread_id) for thread_id in sorted(threads)}


def _generation(stamp: ThreadStamp | None) -> int | None:
    return None if stamp is None else stamp.generation


def _least_key(table_no: int) -> tuple[Any, ...]:
    names = [column.name for column in sql.copy.COPIED[table_no].primary_key][1:]
    return tuple(_LEAST_INTEGER if name == "idx" else "" for name in names)


def _named(prefix: str, table_no: int, thread_id: str, key: tuple[Any, ...]) -> dict[str, Any]:
    names = [column.name for column in sql.copy.COPIED[table_no].primary_key]
    return {"thread_id": thread_id, **{f"{prefix}_{name}": cell for name, cell in zip(names, (thread_id, *key), strict=True)}}
