"""From packed units to the rows of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ckptstore.db.sql.tables import Row
from ckptstore.records import CheckpointKey, NewCheckpoint, NewWrites, Posting
from ckptstore.runtime.random_ids import random_bits
from ckptstore.values.encode import EncodedWrite

#: Units by their place in the batch.
Units = Mapping[int, EncodedWrite]

_GENERATION_BITS = 62


def rows_of(units: Units) -> dict[str, list[Row]]:
    """What units store and need, by the part of the batch, without empty parts: rows that end with the number of their unit.

    The parts are those of `statements.BATCH_ROWS` and `statements.BATCH_NEEDS`.
    """
    checkpoints = checkpoints_of(units)
    writes = _write_rows(units)
    parts: dict[str, list[Row]] = {
        **needs_of(units),
        "checkpoints": [(*_checkpoint_row(put), number) for number, (_, put) in checkpoints.items()],
        "channels": [(*row, number) for number, (unit, put) in checkpoints.items() for row in _channel_rows(unit, put)],
        "tags": [(*row, number) for number, (_, put) in checkpoints.items() for row in tag_rows(put.key, put.postings)],
        "segments": [(*row, number) for number, unit in units.items() for row in _segment_rows(unit)],
        "kept_writes": writes["keep"],
        "replaced_writes": writes["replace"],
    }
    return {name: rows for name, rows in parts.items() if rows}


def needs_of(units: Units) -> dict[str, list[Row]]:
    """What units need to be there already (`statements.BATCH_NEEDS`): keys that end with the number of their unit."""
    return {
        "carried": [
            (put.key.thread_id, put.key.checkpoint_ns, channel, version, number)
            for number, (_, put) in checkpoints_of(units).items()
            for channel, version in put.carried
        ],
        "known": [(unit.key.thread_id, digest, number) for number, unit in units.items() for digest in unit.known],
    }


def without_numbers(parts: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """The same rows, and nothing that says which unit they are of."""
    return {name: [row[:-1] for row in rows] for name, rows in parts.items()}


def checkpoints_of(units: Units) -> dict[int, tuple[EncodedWrite, NewCheckpoint]]:
    """Those of the units that are checkpoints."""
    return {number: (unit, unit.unit) for number, unit in units.items() if isinstance(unit.unit, NewCheckpoint)}


def thread_rows(units: Units, new: Mapping[CheckpointKey, int]) -> list[Row]:
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


def unit_rows(units: Units) -> list[Row]:
    """What each unit does to its thread: id, moment, generation, whether it is a checkpoint, size, number of the unit."""
    # One for all: no two rows that one thread ever had begin with the same, those of different threads may.
    generation = new_generation()
    return [
        (unit.key.thread_id, unit.unit.created_at, generation, unit.is_checkpoint, unit.unit.size if unit.is_checkpoint else 0, number)
        for number, unit in units.items()
    ]


def new_generation() -> int:
    """The generation of a thread's new row; deletions count on from it."""
    return random_bits(_GENERATION_BITS)


def _checkpoint_row(put: NewCheckpoint) -> Row:
    body = (put.body.type, put.body.data)
    return (*put.key, put.parent_checkpoint_id, put.created_at, put.format, *body, put.channel_versions, put.metadata, put.size, False)


def _channel_rows(unit: EncodedWrite, put: NewCheckpoint) -> list[Row]:
    return [
        (put.key.thread_id, put.key.checkpoint_ns, channel, version, value.type, len(value.data), *form)
        for (channel, version, value), form in zip(put.values, unit.forms, strict=True)
    ]


def tag_rows(key: CheckpointKey, of: Iterable[Posting]) -> list[Row]:
    """A checkpoint's rows in the tag index."""
    return [(*posting, key.checkpoint_id, key.thread_id, key.checkpoint_ns) for posting in of]


def _segment_rows(unit: EncodedWrite) -> list[Row]:
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


def keys_of_rows(packed: EncodedWrite) -> list[Row]:
    """The keys of the checkpoint, or of the writes, that a unit stores."""
    unit = packed.unit
    return [(*unit.key, unit.task_id, write.idx) for write in unit.writes] if isinstance(unit, NewWrites) else [unit.key]


def _rows_of_writes(packed: EncodedWrite, unit: NewWrites, number: int) -> Iterable[tuple[Row, Row]]:
    for write, form in zip(unit.writes, packed.forms, strict=True):
        key = (*unit.key, unit.task_id, write.idx)
        value = (write.value.type, len(write.value.data), *form)
        yield key, (*key, unit.task_path, write.channel, unit.created_at, *value, number)
