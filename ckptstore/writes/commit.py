"""What one batch does to the tables, in as few statements as the database allows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ckptstore.db import sql
from ckptstore.db.handle import Db
from ckptstore.db.sql.tables import Row
from ckptstore.records import CheckpointKey, NewCheckpoint
from ckptstore.tags.encoding import postings
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.rows import Units, checkpoints_of, keys_of_rows, needs_of, rows_of, tag_rows, thread_rows, unit_rows, without_numbers

# The most and the multiples of rows that go in at once: each number is a statement of its own, and after each statement threads take turns.
_MOST_ROWS_AT_ONCE = 1024
_COUNT_BY = 8
_HAS_VIEW = "ckpt_batch"
# What a unit stores beside its checkpoint. A segment may be there as an object that was lost, or is out of this store's reach.
_CAREFULLY = {**sql.batch_parts.BATCH_ROWS, "segments": (sql.tables.SEGMENT, "replace_object")}


@dataclass(frozen=True, slots=True)
class MissingParts:
    """A unit was not stored, since something that it builds on is not there."""

    #: Channels that it carries over, and that no earlier checkpoint stored.
    channels: tuple[str, ...] = ()
    #: Digests of segments that its thread was known to have.
    segments: tuple[str, ...] = ()
    #: Keys of objects that are being deleted, or that are gone.
    objects: tuple[str, ...] = ()

    def __or__(self, other: MissingParts) -> MissingParts:
        """What both miss."""
        return MissingParts(self.channels + other.channels, self.segments + other.segments, self.objects + other.objects)


def commit_batch(
    db: Db,
    batch: Sequence[EncodedWrite],
) -> list[MissingParts | None]:
    """Make a batch durable: all of it, but for the units that turn out to miss something.

    Returns:
        For each unit None, or what it misses.
    """
    units = dict(enumerate(batch))
    commit = _commit_at_once if db.on_sqlite else _commit_in_one_statement
    missing = commit(db, units)
    return [missing.get(number) for number in units]


def _without(units: Units, numbers: Iterable[int]) -> Units:
    out = set(numbers)
    return {number: unit for number, unit in units.items() if number not in out}


# --- SQLite: one statement for all, or the careful way for all


def _commit_at_once(
    db: Db,
    units: Units,
) -> dict[int, MissingParts]:
    if not any(unit.touches_objects for unit in units.values()):
        sizes = {put.key: put.size for _, put in checkpoints_of(units).values()}
        rows = sql.batch_sqlite.batch_rows({**without_numbers(rows_of(units)), "threads": thread_rows(units, sizes)}, _COUNT_BY)
        if len(rows) <= _MOST_ROWS_AT_ONCE and _insert_batch(db, rows):
            return {}
    with db.transaction():
        return _store(db, units)


def _insert_batch(
    db: Db,
    rows: Sequence[Row],
) -> bool:
    """Whether the batch went in; if not, nothing of it did: something is missing, or a checkpoint is there already."""
    if _HAS_VIEW not in db.connection.info:
        for text in sql.batch_sqlite.batch_view():
            db.execute(text)
        db.connection.info[_HAS_VIEW] = True
    try:
        db.run_rows(sql.batch_sqlite.insert_batch, rows)
    except sqlite3.IntegrityError:
        return False
    return True


# --- PostgreSQL: one statement, and the careful way for what stays out of it


def _commit_in_one_statement(
    db: Db,
    units: Units,
) -> dict[int, MissingParts]:
    together = _fit_for_one_statement(units)
    went_in: set[int] = set()
    if together:
        rows = rows_of(together)
        parameters = sql.batch_postgres.batch_parameters("units", unit_rows(together))
        for name, some in rows.items():
            parameters |= sql.batch_postgres.batch_parameters(name, some)
        went_in = {row[0] for row in db.run(sql.batch_postgres.commit_batch, parameters, frozenset(rows))}
    missing: dict[int, MissingParts] = {}
    for number, unit in _without(units, went_in).items():
        with db.transaction():
            # This locks the thread, before anything of it is looked at.
            db.insert(sql.tables.THREAD, "add_up", thread_rows({number: unit}, {}))
            lacking = _store(db, {number: unit})
            if number in together:
                # It was counted, and then stayed out.
                db.run(sql.delete.recount, {"thread_id": unit.key.thread_id})
            if lacking:
                db.run(sql.delete.delete_empty_thread, {"thread_id": unit.key.thread_id})
            missing |= lacking
    return missing


def _fit_for_one_statement(units: Units) -> Units:
    """The units that have nothing to do with objects and write no row that another one writes; what follows others waits with them."""
    waiting: set[str] = set()
    written: set[Row] = set()
    fit: dict[int, EncodedWrite] = {}
    for number, unit in units.items():
        rows = keys_of_rows(unit)
        if unit.touches_objects or unit.key.thread_id in waiting or not written.isdisjoint(rows):
            waiting.add(unit.key.thread_id)
        else:
            written.update(rows)
            fit[number] = unit
    return fit


# --- either database, within a transaction that locks the threads


def _store(
    db: Db,
    units: Units,
) -> dict[int, MissingParts]:
    """Store units within a transaction; a checkpoint replaces one of the same id, its tags too."""
    missing = _missing(db, units)
    units = _without(units, missing)
    if not units:
        return missing
    rows = without_numbers(rows_of(units))
    checkpoints = [put for _, put in checkpoints_of(units).values()]
    replaced = _insert_checkpoints(db, checkpoints, rows.pop("checkpoints", []))
    gained = {put.key: put.size for put in checkpoints if put.key not in replaced}
    for name, (table, conflict) in _CAREFULLY.items():
        db.insert(table, conflict, rows.get(name, ()))
    db.insert(sql.tables.THREAD, "add_up", thread_rows(units, gained))
    for thread_id in {key.thread_id for key in replaced}:
        db.run(sql.delete.recount, {"thread_id": thread_id})
    return missing


def _missing(
    db: Db,
    units: Units,
) -> dict[int, MissingParts]:
    missing: dict[int, MissingParts] = {}

    def note(number: int, found: MissingParts) -> None:
        missing[number] = missing.get(number, MissingParts()) | found

    for need, rows in needs_of(units).items():
        if rows:
            key = sql.batch_parts.BATCH_NEEDS[need][1]
            parameters = db.key_parameters((*key, "unit"), [(*row[:-1], str(row[-1])) for row in rows])
            for number, *found in db.run(sql.batch_parts.missing_needs, parameters, need):
                note(number, MissingParts(channels=(found[2],)) if need == "carried" else MissingParts(segments=(found[1],)))
    for number, unit in units.items():
        gone = _gone_objects(db, unit)
        if gone:
            note(number, MissingParts(objects=gone))
    return missing


def _gone_objects(
    db: Db,
    unit: EncodedWrite,
) -> tuple[str, ...]:
    """Confirm as live the objects that a unit refers to; what is being deleted comes too late."""
    keys = unit.object_keys
    if not keys:
        return ()
    parameters = {**db.object_keys(keys), "moment": unit.unit.created_at}
    live = {row[0] for row in db.run(sql.objects.confirm_live, parameters)}
    return tuple(key for key in keys if key not in live)


def _insert_checkpoints(
    db: Db,
    checkpoints: Sequence[NewCheckpoint],
    rows: Sequence[Row],
) -> set[CheckpointKey]:
    """Insert checkpoints; where some of them were there already they are replaced, and lose their tags.

    Returns:
        Nothing if all of them are new, or else the keys of all: those that were there can't be told apart any more.
    """
    inserted = db.insert(sql.tables.CHECKPOINT, "keep", rows)
    if inserted == len(rows):
        # Nearly always.
        return set()
    keys = [put.key for put in checkpoints]
    parameters = db.key_parameters(sql.tables.CHECKPOINT_KEY, keys)
    replaced = [(CheckpointKey(*row[:3]), row[3]) for row in db.run(sql.batch_parts.metadata_of, parameters)]
    delete_tags(db, stored_tag_rows(replaced))
    db.insert(sql.tables.CHECKPOINT, "replace", rows)
    return {key for key, _ in replaced}


def stored_tag_rows(of: Iterable[tuple[CheckpointKey, str]]) -> list[Row]:
    """The rows that checkpoints may have in the tag index, given each one's metadata as JSON: the index leads with the tag."""
    return [row for key, metadata in of for row in tag_rows(key, postings(json.loads(metadata)))]


def delete_tags(
    db: Db,
    rows: Sequence[Row],
) -> None:
    """Delete rows of the tag index."""
    if rows:
        db.run(sql.delete.delete_tags, db.key_parameters(sql.tables.TAG_KEY, rows))


def insert_tags(
    db: Db,
    rows: Sequence[Row],
) -> None:
    """Add postings; those that are there stay."""
    db.insert(sql.tables.TAG, "keep", rows)
