"""What one batch does to the tables, in as few statements as the database allows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Table

from ckptstore import statements as sql
from ckptstore.engine import transaction
from ckptstore.execution import execute
from ckptstore.packing import PackedUnit
from ckptstore.prepared import StatementCache
from ckptstore.records import CheckpointKey, NewCheckpoint
from ckptstore.rows import Units, checkpoints_of, keys_of_rows, needs_of, rows_of, tag_rows, thread_rows, unit_rows, without_numbers
from ckptstore.statements import Row
from ckptstore.tags import postings

# The longest multi-row INSERT on SQLite.
_MOST_ROWS = 64
# The most and the multiples of rows that go in at once: each number is a statement of its own, and after each statement threads take turns.
_MOST_ROWS_AT_ONCE = 1024
_COUNT_BY = 8
_HAS_VIEW = "ckpt_batch"
# What a unit stores beside its checkpoint. A segment may be there as an object that was lost, or is out of this store's reach.
_CAREFULLY = {**sql.BATCH_ROWS, "segments": (sql.SEGMENT, "replace_object")}


@dataclass(frozen=True, slots=True)
class Missing:
    """A unit was not stored, since something that it builds on is not there."""

    #: Channels that it carries over, and that no earlier checkpoint stored.
    channels: tuple[str, ...] = ()
    #: Digests of segments that its thread was known to have.
    segments: tuple[str, ...] = ()
    #: Keys of objects that are being deleted, or that are gone.
    objects: tuple[str, ...] = ()

    def __or__(self, other: Missing) -> Missing:
        """What both miss."""
        return Missing(self.channels + other.channels, self.segments + other.segments, self.objects + other.objects)


def commit_batch(connection: Connection, batch: Sequence[PackedUnit], prepared: StatementCache) -> list[Missing | None]:
    """Make a batch durable: all of it, but for the units that turn out to miss something.

    Returns:
        For each unit None, or what it misses.
    """
    units = dict(enumerate(batch))
    commit = _commit_at_once if prepared.on_sqlite else _commit_in_one_statement
    missing = commit(connection, units, prepared)
    return [missing.get(number) for number in units]


def _without(units: Units, numbers: Iterable[int]) -> Units:
    out = set(numbers)
    return {number: unit for number, unit in units.items() if number not in out}


# --- SQLite: one statement for all, or the careful way for all


def _commit_at_once(connection: Connection, units: Units, prepared: StatementCache) -> dict[int, Missing]:
    if not any(unit.needs_care for unit in units.values()):
        sizes = {put.key: put.size for _, put in checkpoints_of(units).values()}
        rows = sql.batch_rows({**without_numbers(rows_of(units)), "threads": thread_rows(units, sizes)}, _COUNT_BY)
        if len(rows) <= _MOST_ROWS_AT_ONCE and _insert_batch(connection, rows, prepared):
            return {}
    with transaction(connection):
        return _store(connection, units, prepared)


def _insert_batch(connection: Connection, rows: Sequence[Row], prepared: StatementCache) -> bool:
    """Whether the batch went in; if not, nothing of it did: something is missing, or a checkpoint is there already."""
    if _HAS_VIEW not in connection.info:
        for text in sql.batch_view():
            execute(connection, text)
        connection.info[_HAS_VIEW] = True
    try:
        prepared(sql.insert_batch).run_rows(connection, rows)
    except sqlite3.IntegrityError:
        return False
    return True


# --- PostgreSQL: one statement, and the careful way for what stays out of it


def _commit_in_one_statement(connection: Connection, units: Units, prepared: StatementCache) -> dict[int, Missing]:
    together = _fit_for_one_statement(units)
    went_in: set[int] = set()
    if together:
        rows = rows_of(together)
        parameters = sql.batch_parameters("units", unit_rows(together))
        for name, some in rows.items():
            parameters |= sql.batch_parameters(name, some)
        went_in = {row[0] for row in prepared(sql.commit_batch, frozenset(rows)).run(connection, parameters)}
    missing: dict[int, Missing] = {}
    for number, unit in _without(units, went_in).items():
        with transaction(connection):
            # This locks the thread, before anything of it is looked at.
            insert_all(connection, prepared, {(sql.THREAD, "add_up"): thread_rows({number: unit}, {})})
            lacking = _store(connection, {number: unit}, prepared)
            if number in together:
                # It was counted, and then stayed out.
                prepared(sql.recount).run(connection, {"thread_id": unit.key.thread_id})
            if lacking:
                prepared(sql.delete_empty_thread).run(connection, {"thread_id": unit.key.thread_id})
            missing |= lacking
    return missing


def _fit_for_one_statement(units: Units) -> Units:
    """The units that have nothing to do with objects and write no row that another one writes; what follows others waits with them."""
    waiting: set[str] = set()
    written: set[Row] = set()
    fit: dict[int, PackedUnit] = {}
    for number, unit in units.items():
        rows = keys_of_rows(unit)
        if unit.needs_care or unit.key.thread_id in waiting or not written.isdisjoint(rows):
            waiting.add(unit.key.thread_id)
        else:
            written.update(rows)
            fit[number] = unit
    return fit


# --- either database, within a transaction that locks the threads


def _store(connection: Connection, units: Units, prepared: StatementCache) -> dict[int, Missing]:
    """Store units within a transaction; a checkpoint replaces one of the same id, its tags too."""
    missing = _missing(connection, units, prepared)
    units = _without(units, missing)
    if not units:
        return missing
    rows = without_numbers(rows_of(units))
    checkpoints = [put for _, put in checkpoints_of(units).values()]
    replaced = _insert_checkpoints(connection, checkpoints, rows.pop("checkpoints", []), prepared)
    gained = {put.key: put.size for put in checkpoints if put.key not in replaced}
    inserts = {_CAREFULLY[name]: rows[name] for name in _CAREFULLY if name in rows}
    insert_all(connection, prepared, {**inserts, (sql.THREAD, "add_up"): thread_rows(units, gained)})
    for thread_id in {key.thread_id for key in replaced}:
        prepared(sql.recount).run(connection, {"thread_id": thread_id})
    return missing


def _missing(connection: Connection, units: Units, prepared: StatementCache) -> dict[int, Missing]:
    missing: dict[int, Missing] = {}

    def note(number: int, found: Missing) -> None:
        missing[number] = missing.get(number, Missing()) | found

    for need, rows in needs_of(units).items():
        if rows:
            key = sql.BATCH_NEEDS[need][1]
            parameters = sql.key_parameters(prepared.dialect.name, (*key, "unit"), [(*row[:-1], str(row[-1])) for row in rows])
            for number, *found in prepared(sql.missing_needs, need).run(connection, parameters):
                note(number, Missing(channels=(found[2],)) if need == "carried" else Missing(segments=(found[1],)))
    for number, unit in units.items():
        gone = _gone_objects(connection, unit, prepared)
        if gone:
            note(number, Missing(objects=gone))
    return missing


def _gone_objects(connection: Connection, unit: PackedUnit, prepared: StatementCache) -> tuple[str, ...]:
    """Vouch for the objects that a unit refers to; what is being deleted comes too late."""
    keys = unit.object_keys
    if not keys:
        return ()
    parameters = {**sql.object_keys(prepared.dialect.name, keys), "moment": unit.unit.created_at}
    live = {row[0] for row in prepared(sql.vouch_for_objects).run(connection, parameters)}
    return tuple(key for key in keys if key not in live)


def _insert_checkpoints(
    connection: Connection, checkpoints: Sequence[NewCheckpoint], rows: Sequence[Row], prepared: StatementCache
) -> set[CheckpointKey]:
    """Insert checkpoints; where some of them were there already they are replaced, and lose their tags.

    Returns:
        Nothing if all of them are new, or else the keys of all: those that were there can't be told apart any more.
    """
    inserted = insert_all(connection, prepared, {(sql.CHECKPOINT, "keep"): rows})
    if inserted == len(rows):
        # Nearly always.
        return set()
    keys = [put.key for put in checkpoints]
    parameters = sql.key_parameters(prepared.dialect.name, sql.CHECKPOINT_KEY, keys)
    replaced = [(CheckpointKey(*row[:3]), row[3]) for row in prepared(sql.metadata_of).run(connection, parameters)]
    delete_tags(connection, rows_of_tags(replaced), prepared)
    insert_all(connection, prepared, {(sql.CHECKPOINT, "replace"): rows})
    return {key for key, _ in replaced}


def rows_of_tags(of: Iterable[tuple[CheckpointKey, str]]) -> list[Row]:
    """The rows that checkpoints may have in the tag index, given each one's metadata as JSON: the index leads with the tag."""
    return [row for key, metadata in of for row in tag_rows(key, postings(json.loads(metadata)))]


def delete_tags(connection: Connection, rows: Sequence[Row], prepared: StatementCache) -> None:
    """Delete rows of the tag index."""
    if rows:
        prepared(sql.delete_tags).run(connection, sql.key_parameters(prepared.dialect.name, sql.TAG_KEY, rows))


def insert_tags(connection: Connection, rows: Sequence[Row], prepared: StatementCache) -> None:
    """Add postings; those that are there stay."""
    insert_all(connection, prepared, {(sql.TAG, "keep"): rows})


def insert_all(connection: Connection, prepared: StatementCache, rows: Mapping[tuple[Table, str], Sequence[Row]]) -> int:
    """Insert rows with their tables' columns; what happens to a row that is there is said beside each table.

    Returns:
        How many rows were inserted or changed.
    """
    changed = 0
    for (table, conflict), some in rows.items():
        if prepared.on_sqlite:
            for part in _powers_of_two(some):
                changed += prepared(sql.insert_rows, table, conflict).run_rows(connection, part).rowcount
        elif some:
            changed += prepared(sql.insert_rows, table, conflict).run(connection, sql.row_parameters(table, some)).rowcount
    return changed


def _powers_of_two(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Rows in few parts of few lengths: each length is a statement of its own, and after each statement threads take turns."""
    start = 0
    while start < len(rows):
        length = min(_MOST_ROWS, 1 << (len(rows) - start).bit_length() - 1)
        yield rows[start : start + length]
        start += length
