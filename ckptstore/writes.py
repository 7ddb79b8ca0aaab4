"""What one batch does to the tables: from packed units to rows, in as few statements as the database allows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table

from ckptstore import statements as sql
from ckptstore.engine import transaction
from ckptstore.packing import PackedUnit
from ckptstore.prepared import StatementCache
from ckptstore.randoms import random_bits
from ckptstore.records import CheckpointKey, NewCheckpoint, NewWrites, Posting
from ckptstore.tags import postings

Row = tuple[Any, ...]

_GENERATION_BITS = 62
# The longest multi-row INSERT on SQLite.
_MOST_ROWS = 64
#: Units by their place in the batch.
Units = Mapping[int, PackedUnit]


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
    if prepared.on_sqlite:
        with transaction(connection):
            missing = _store(connection, units, prepared)
    else:
        missing = _commit_in_one_statement(connection, units, prepared)
    return [missing.get(number) for number in units]


def _without(units: Units, numbers: Iterable[int]) -> Units:
    out = set(numbers)
    return {number: unit for number, unit in units.items() if number not in out}


# --- PostgreSQL: one statement, and the careful way for what stays out of it


def _commit_in_one_statement(connection: Connection, units: Units, prepared: StatementCache) -> dict[int, Missing]:
    together = _fit_for_one_statement(units)
    went_in: set[int] = set()
    if together:
        rows = _batch_rows(together)
        parameters = sql.row_parameters(sql.THREAD, _thread_rows(together, {}))
        sizes = {number: put.size for number, (_, put) in _checkpoints(together).items()}
        numbered = [(unit.key.thread_id, unit.is_checkpoint, sizes.get(number, 0), number) for number, unit in together.items()]
        parameters |= sql.batch_parameters("units", numbered)
        for name, some in rows.items():
            parameters |= sql.batch_parameters(name, some)
        went_in = {row[0] for row in prepared(sql.commit_batch, frozenset(rows)).run(connection, parameters)}
    missing: dict[int, Missing] = {}
    for number, unit in _without(units, went_in).items():
        with transaction(connection):
            # This locks the thread, before anything of it is looked at.
            insert_all(connection, prepared, {(sql.THREAD, "add_up"): _thread_rows({number: unit}, {})})
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
        rows = _keys_of_rows(unit)
        if unit.needs_care or unit.key.thread_id in waiting or not written.isdisjoint(rows):
            waiting.add(unit.key.thread_id)
        else:
            written.update(rows)
            fit[number] = unit
    return fit


def _batch_rows(units: Units) -> dict[str, list[Row]]:
    """The parts of a batch that are not empty: rows that end with the number of their unit."""
    checkpoints = _checkpoints(units)
    writes = _write_rows(units)
    parts: dict[str, list[Row]] = {
        "checkpoints": [(*_checkpoint_row(put), number) for number, (_, put) in checkpoints.items()],
        "channels": [(*row, number) for number, (unit, put) in checkpoints.items() for row in _channel_rows(unit, put)],
        "tags": [(*row, number) for number, (_, put) in checkpoints.items() for row in tag_rows(put.key, put.postings)],
        "segments": [(*row, number) for number, unit in units.items() for row in _segment_rows(unit)],
        "kept_writes": writes["keep"],
        "replaced_writes": writes["replace"],
        **{need: _needs(need, units) for need in sql.BATCH_NEEDS},
    }
    return {name: rows for name, rows in parts.items() if rows}


# --- either database, within a transaction that locks the threads


def _store(connection: Connection, units: Units, prepared: StatementCache) -> dict[int, Missing]:
    """Store units within a transaction; a checkpoint replaces one of the same id, its tags too."""
    missing = _missing(connection, units, prepared)
    units = _without(units, missing)
    if not units:
        return missing
    checkpoints = _checkpoints(units)
    replaced = _insert_checkpoints(connection, checkpoints, prepared)
    new = {put.key: put.size for _, put in checkpoints.values() if put.key not in replaced}
    writes = _write_rows(units)
    segments = [row for unit in units.values() for row in _segment_rows(unit)]
    insert_all(
        connection,
        prepared,
        {
            (sql.SEGMENT, "replace_object"): segments,
            (sql.CHANNEL, "replace"): [row for unit, put in checkpoints.values() for row in _channel_rows(unit, put)],
            (sql.TAG, "keep"): [row for _, put in checkpoints.values() for row in tag_rows(put.key, put.postings)],
            (sql.WRITE, "keep"): [row[:-1] for row in writes["keep"]],
            (sql.WRITE, "replace"): [row[:-1] for row in writes["replace"]],
            (sql.THREAD, "add_up"): _thread_rows(units, new),
        },
    )
    for thread_id in {key.thread_id for key in replaced}:
        prepared(sql.recount).run(connection, {"thread_id": thread_id})
    return missing


def _missing(connection: Connection, units: Units, prepared: StatementCache) -> dict[int, Missing]:
    missing: dict[int, Missing] = {}

    def note(number: int, found: Missing) -> None:
        missing[number] = missing.get(number, Missing()) | found

    for need, (_, key) in sql.BATCH_NEEDS.items():
        rows = _needs(need, units)
        if rows:
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
    connection: Connection, checkpoints: Mapping[int, tuple[PackedUnit, NewCheckpoint]], prepared: StatementCache
) -> set[CheckpointKey]:
    """Insert checkpoints; where some of them were there already they are replaced, and lose their tags.

    Returns:
        Nothing if all of them are new, or else the keys of all: those that were there can't be told apart any more.
    """
    rows = [_checkpoint_row(put) for _, put in checkpoints.values()]
    inserted = insert_all(connection, prepared, {(sql.CHECKPOINT, "keep"): rows})
    if inserted == len(rows):
        # Nearly always.
        return set()
    keys = [put.key for _, put in checkpoints.values()]
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


# --- rows


def _checkpoints(units: Units) -> dict[int, tuple[PackedUnit, NewCheckpoint]]:
    return {number: (unit, unit.unit) for number, unit in units.items() if isinstance(unit.unit, NewCheckpoint)}


def _needs(need: str, units: Units) -> list[Row]:
    """What units need to be there already (`statements.BATCH_NEEDS`): keys that end with the number of the unit."""
    if need == "known":
        return [(unit.key.thread_id, digest, number) for number, unit in units.items() for digest in unit.known]
    return [
        (put.key.thread_id, put.key.checkpoint_ns, channel, version, number)
        for number, (_, put) in _checkpoints(units).items()
        for channel, version in put.carried
    ]


def _thread_rows(units: Units, new: Mapping[CheckpointKey, int]) -> list[Row]:
    """One row a thread, in the order of their ids: two processes that lock the same threads never deadlock.

    Args:
        units: what is written to them.
        new: the checkpoints that they gain, with their sizes.
    """
    latest: dict[str, int] = {}
    for unit in units.values():
        thread_id = unit.key.thread_id
        latest[thread_id] = max(latest.get(thread_id, 0), unit.unit.created_at)
    gained: dict[str, list[int]] = {}
    for key, size in new.items():
        gained.setdefault(key.thread_id, []).append(size)
    # No two rows that a thread ever had begin with the same generation, or one could be taken for the other.
    return [
        (thread_id, moment, moment, new_generation(), len(gained.get(thread_id, ())), sum(gained.get(thread_id, ())))
        for thread_id, moment in sorted(latest.items())
    ]


def new_generation() -> int:
    """The generation of a thread's new row; deletions count on from it."""
    return random_bits(_GENERATION_BITS)


def _checkpoint_row(put: NewCheckpoint) -> Row:
    body = (put.body.type, put.body.data)
    return (*put.key, put.parent_checkpoint_id, put.created_at, put.format, *body, put.channel_versions, put.metadata, put.size, False)


def _channel_rows(unit: PackedUnit, put: NewCheckpoint) -> list[Row]:
    return [
        (put.key.thread_id, put.key.checkpoint_ns, channel, version, value.type, len(value.data), *form)
        for (channel, version, value), form in zip(put.values, unit.forms, strict=True)
    ]


def tag_rows(key: CheckpointKey, of: Iterable[Posting]) -> list[Row]:
    """A checkpoint's rows in the tag index."""
    return [(*posting, key.checkpoint_id, key.thread_id, key.checkpoint_ns) for posting in of]


def _segment_rows(unit: PackedUnit) -> list[Row]:
    return [(unit.key.thread_id, *segment) for segment in unit.segments]


def _write_rows(units: Units) -> dict[str, list[Row]]:
    """Rows of tasks' writes with the number of their unit, each key once: the order in the batch decides."""
    kept: dict[Row, Row] = {}
    replaced: dict[Row, Row] = {}
    for number, packed in units.items():
        if not isinstance(packed.unit, NewWrites):
            continue
        for key, row in _rows_of_writes(packed, packed.unit, number):
            if packed.unit.replace:
                replaced[key] = row
                kept.pop(key, None)
            elif key not in replaced:
                kept.setdefault(key, row)
    return {"keep": list(kept.values()), "replace": list(replaced.values())}


def _keys_of_rows(packed: PackedUnit) -> list[Row]:
    unit = packed.unit
    return [(*unit.key, unit.task_id, write.idx) for write in unit.writes] if isinstance(unit, NewWrites) else [unit.key]


def _rows_of_writes(packed: PackedUnit, unit: NewWrites, number: int) -> Iterable[tuple[Row, Row]]:
    for write, form in zip(unit.writes, packed.forms, strict=True):
        key = (*unit.key, unit.task_id, write.idx)
        value = (write.value.type, len(write.value.data), *form)
        yield key, (*key, unit.task_path, write.channel, unit.created_at, *value, number)
