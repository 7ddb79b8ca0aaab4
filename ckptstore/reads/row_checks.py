"""Whether rows are as they were stored: by their checksums, or, where they have none, by the types of their cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple, NoReturn, get_args, get_type_hints

from ckptstore.errors import CheckpointCorrupt
from ckptstore.reads.rows import WAY_OUT, ChannelRow, CheckpointRow, StoredRow, WriteRow
from ckptstore.values.checksums import channel_checksum, checkpoint_checksum, write_checksum


class _Check(NamedTuple):
    """How the checksum of a row is computed: a function, its first argument, which is the row's key, and the others."""

    checksum: Callable[..., int]
    key: attrgetter[Any]
    cells: attrgetter[Any]


def _cell_types(row: type[StoredRow]) -> tuple[frozenset[type], ...]:
    """The types that each cell may have, by the row's annotations."""
    return tuple(frozenset(get_args(hint) or (hint,)) for hint in get_type_hints(row).values())


_CELL_TYPES: Mapping[type[StoredRow], tuple[frozenset[type], ...]] = {
    row: _cell_types(row) for row in (CheckpointRow, ChannelRow, WriteRow)
}
_ID = ("thread_id", "checkpoint_ns", "checkpoint_id")
_VALUE = ("type", "size", "literal", "layout")
_CHECKS: Mapping[type[StoredRow], _Check] = {
    CheckpointRow: _Check(
        checkpoint_checksum,
        attrgetter(*_ID),
        attrgetter("parent_checkpoint_id", "format", "type", "body", "channel_versions", "metadata", "value_count"),
    ),
    ChannelRow: _Check(channel_checksum, attrgetter("thread_id", "checkpoint_ns", "channel", "version"), attrgetter(*_VALUE)),
    WriteRow: _Check(write_checksum, attrgetter(*_ID, "task_id", "idx"), attrgetter("task_path", "channel", *_VALUE)),
}


def altered(rows: Iterable[StoredRow]) -> list[StoredRow]:
    """Those of some rows that are not as they were stored. Of a row without a checksum only the types of its cells are compared."""
    found = []
    for row in rows:
        checksum, key, cells = _CHECKS[type(row)]
        try:
            intact = _has_types(row) if row.checksum is None else row.checksum == checksum(key(row), *cells(row))
        except (TypeError, AttributeError):
            # On SQLite a cell may have turned into another type.
            intact = False
        if not intact:
            found.append(row)
    return found


def _has_types(row: StoredRow) -> bool:
    return all(type(cell) in types for cell, types in zip(row, _CELL_TYPES[type(row)], strict=True))


def refuse(row: StoredRow, at: Iterable[CheckpointRow] = ()) -> NoReturn:
    """Refuse a row that was altered.

    Args:
        row: the row.
        at: the checkpoints that are read: if the row is a channel's value, one that it belongs to is named.

    Raises:
        CheckpointCorrupt: always.
    """
    needed_by = [str(each) for each in at if isinstance(row, ChannelRow) and str(row.version) in str(each.channel_versions)]
    owner = f", needed by {needed_by[0]}" if needed_by else ""
    sign = "a cell has another type than its column" if row.checksum is None else "the checksum does not match"
    raise CheckpointCorrupt(f"{row}{owner}: its row in the database was altered, {sign}; {WAY_OUT}")
