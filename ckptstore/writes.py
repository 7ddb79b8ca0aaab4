"""What one batch does to the tables: from records to rows, in as few statements as the database allows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table

from ckptstore import statements as sql
from ckptstore.engine import transaction
from ckptstore.prepared import StatementCache
from ckptstore.records import CheckpointKey, NewCheckpoint, NewWrites
from ckptstore.tags import postings

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """A checkpoint was not stored: it carries these channels over, and no earlier checkpoint stored them."""

    channels: tuple[str, ...]


def commit_batch(connection: Connection, batch: Sequence[NewCheckpoint | NewWrites], prepared: StatementCache) -> list[Missing | None]:
    """Make a batch durable: all of it, but for the checkpoints that turn out to miss channels.

    Returns:
        For each unit None, or what it misses.
    """
    puts = [unit for unit in batch if isinstance(unit, NewCheckpoint)]
    if prepared.on_sqlite:
        with transaction(connection):
            missing = _store(connection, puts, prepared)
            _insert_all(connection, prepared, _write_rows(batch))
            _insert_all(connection, prepared, {(sql.THREAD, "touch"): _thread_rows(_without(batch, missing))})
    else:
        missing = _commit_in_one_statement(connection, batch, puts, prepared)
    return [missing.get(unit.key) if isinstance(unit, NewCheckpoint) else None for unit in batch]


def _without(batch: Sequence[NewCheckpoint | NewWrites], missing: dict[CheckpointKey, Missing]) -> list[NewCheckpoint | NewWrites]:
    return [unit for unit in batch if not (isinstance(unit, NewCheckpoint) and unit.key in missing)]


def _commit_in_one_statement(
    connection: Connection, batch: Sequence[NewCheckpoint | NewWrites], puts: list[NewCheckpoint], prepared: StatementCache
) -> dict[CheckpointKey, Missing]:
    writes = _write_rows(batch)
    parts = {part for part, conflict in sql.WRITE_PARTS.items() if writes[sql.WRITE, conflict]}
    parameters = sql.row_parameters(sql.THREAD, _thread_rows(batch))
    for part in parts:
        parameters |= sql.row_parameters(sql.WRITE, writes[sql.WRITE, sql.WRITE_PARTS[part]], part)
    if puts:
        parts.add("checkpoints")
        parameters |= _checkpoint_parameters(puts)
    inserted = {CheckpointKey(*row) for row in prepared(sql.commit_batch, frozenset(parts)).run(connection, parameters)}
    missing: dict[CheckpointKey, Missing] = {}
    for put in puts:
        if put.key not in inserted:
            with transaction(connection):
                _insert_all(connection, prepared, {(sql.THREAD, "touch"): _thread_rows([put])})
                lacking = _store(connection, [put], prepared)
                if lacking:
                    prepared(sql.delete_empty_thread).run(connection, {"thread_id": put.key.thread_id})
                missing |= lacking
    return missing


def _checkpoint_parameters(puts: Sequence[NewCheckpoint]) -> dict[str, Any]:
    return {
        **sql.row_parameters(sql.CHECKPOINT, [_checkpoint_row(put) for put in puts]),
        **sql.row_parameters(sql.TAG, _tag_rows(puts)),
        **sql.row_parameters(sql.CHANNEL, _channel_rows(puts)),
        "ckpt_channel_checkpoint_id": [put.key.checkpoint_id for put in puts for _ in put.values],
        **_carried_parameters(puts),
    }


def _carried_parameters(puts: Sequence[NewCheckpoint]) -> dict[str, list[str]]:
    rows = [(*put.key, channel, version) for put in puts for channel, version in put.carried]
    columns = list(zip(*rows, strict=True)) or [()] * len(sql.MISSING_CHANNELS_KEY)
    return {f"carried_{name}": list(column) for name, column in zip(sql.MISSING_CHANNELS_KEY, columns, strict=True)}


def _store(connection: Connection, puts: Sequence[NewCheckpoint], prepared: StatementCache) -> dict[CheckpointKey, Missing]:
    """Store checkpoints within a transaction that locks their threads, replacing those of the same id, tags too."""
    missing = _missing(connection, puts, prepared)
    puts = [put for put in puts if put.key not in missing]
    if not puts:
        return missing
    database = prepared.dialect.name
    keys = sql.key_parameters(database, sql.CHECKPOINT_KEY, [put.key for put in puts])
    replaced = [(CheckpointKey(*row[:3]), row[3]) for row in prepared(sql.metadata_of).run(connection, keys)]
    if replaced:
        delete_tags(connection, replaced, prepared)
    _insert_all(
        connection,
        prepared,
        {
            (sql.CHECKPOINT, "replace"): [_checkpoint_row(put) for put in puts],
            (sql.CHANNEL, "replace"): _channel_rows(puts),
            (sql.TAG, "keep"): _tag_rows(puts),
        },
    )
    return missing


def _missing(connection: Connection, puts: Sequence[NewCheckpoint], prepared: StatementCache) -> dict[CheckpointKey, Missing]:
    carried = [(*put.key, channel, version) for put in puts for channel, version in put.carried]
    if not carried:
        return {}
    keys = sql.key_parameters(prepared.dialect.name, sql.MISSING_CHANNELS_KEY, carried)
    channels: dict[CheckpointKey, list[str]] = {}
    for *key, channel, _version in prepared(sql.missing_channels).run(connection, keys):
        channels.setdefault(CheckpointKey(*key), []).append(channel)
    return {key: Missing(tuple(names)) for key, names in channels.items()}


def delete_tags(connection: Connection, of: Iterable[tuple[CheckpointKey, str]], prepared: StatementCache) -> None:
    """Delete the postings of checkpoints, given each one's metadata as JSON: the index leads with the tag, not the thread."""
    keys = [
        (*posting, key.checkpoint_id, key.thread_id, key.checkpoint_ns)
        for key, metadata in of
        for posting in postings(json.loads(metadata))
    ]
    names = tuple(column.name for column in sql.TAG.primary_key)
    if keys:
        prepared(sql.delete_keys, sql.TAG, names).run(connection, sql.key_parameters(prepared.dialect.name, names, keys))


def insert_tags(connection: Connection, rows: Sequence[Row], prepared: StatementCache) -> None:
    """Add postings; those that are there stay."""
    _insert_all(connection, prepared, {(sql.TAG, "keep"): rows})


def _insert_all(connection: Connection, prepared: StatementCache, rows: Mapping[tuple[Table, str], Sequence[Row]]) -> None:
    for (table, conflict), some in rows.items():
        if not some:
            continue
        statement = prepared(sql.insert_rows, table, conflict)
        if prepared.on_sqlite:
            statement.run_many(connection, some)
        else:
            statement.run(connection, sql.row_parameters(table, some))


def _thread_rows(batch: Iterable[NewCheckpoint | NewWrites]) -> list[Row]:
    """One row a thread, in the order of their ids: two processes that lock the same threads never deadlock."""
    latest: dict[str, int] = {}
    for unit in batch:
        latest[unit.key.thread_id] = max(latest.get(unit.key.thread_id, 0), unit.created_at)
    return [(thread_id, moment, moment, 0) for thread_id, moment in sorted(latest.items())]


def _checkpoint_row(put: NewCheckpoint) -> Row:
    return (*put.key, put.parent_checkpoint_id, put.created_at, put.format, *put.body, put.channel_versions, put.metadata, put.size, False)


def _channel_rows(puts: Iterable[NewCheckpoint]) -> list[Row]:
    return [
        (put.key.thread_id, put.key.checkpoint_ns, channel, version, value.type, len(value.data), value.data, None)
        for put in puts
        for channel, version, value in put.values
    ]


def _tag_rows(puts: Iterable[NewCheckpoint]) -> list[Row]:
    return [(*posting, put.key.checkpoint_id, put.key.thread_id, put.key.checkpoint_ns) for put in puts for posting in put.postings]


def _write_rows(batch: Iterable[NewCheckpoint | NewWrites]) -> dict[tuple[Table, str], list[Row]]:
    """Rows of tasks' writes, each key once: a statement can't touch a row twice, and the order in the batch decides."""
    kept: dict[Row, Row] = {}
    replaced: dict[Row, Row] = {}
    for unit in batch:
        if isinstance(unit, NewCheckpoint):
            continue
        for write in unit.writes:
            key = (*unit.key, unit.task_id, write.idx)
            row = (*key, unit.task_path, write.channel, unit.created_at, write.value.type, len(write.value.data), write.value.data, None)
            if unit.replace:
                replaced[key] = row
                kept.pop(key, None)
            elif key not in replaced:
                kept.setdefault(key, row)
    return {(sql.WRITE, "keep"): list(kept.values()), (sql.WRITE, "replace"): list(replaced.values())}
