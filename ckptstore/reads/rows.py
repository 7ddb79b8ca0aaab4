"""The rows of `ckptstore.db.sql.checkpoints.whole`, which come in four shapes, and whether they are as they were stored.

All shapes have the columns of `whole`; a column that a shape does not use is named `unused`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple, NoReturn

from ckptstore.errors import CheckpointCorrupt
from ckptstore.records import CheckpointKey, Layout
from ckptstore.values.checksums import channel_checksum, checkpoint_checksum, write_checksum
from ckptstore.values.decode import SegmentSet

_WAY_OUT = "restore it from a backup, or delete the thread"


class CheckpointRow(NamedTuple):
    """A checkpoint."""

    kind: int
    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    parent_checkpoint_id: str | None
    channel_versions: str
    metadata: str
    #: None if no read finds the parent.
    visible_parent_id: str | None
    format: int
    value_count: int | None
    type: str
    body: bytes
    checksum: int | None

    @property
    def key(self) -> CheckpointKey:
        """Its primary key."""
        return CheckpointKey(self.thread_id, self.checkpoint_ns, self.checkpoint_id)

    def __str__(self) -> str:
        return _described(self.key)


class ChannelRow(NamedTuple):
    """The value of one version of a channel."""

    kind: int
    thread_id: str
    checkpoint_ns: str
    unused_id: None
    channel: str
    version: str
    unused: None
    layout: str | None
    unused_number: None
    size: int
    type: str
    literal: bytes | None
    checksum: int | None

    def __str__(self) -> str:
        where = f"thread {self.thread_id!r} (namespace {self.checkpoint_ns!r})"
        return f"version {self.version!r} of channel {self.channel!r} of {where}"


class WriteRow(NamedTuple):
    """A task's write to a checkpoint, or to its parent (`KIND_PARENT_SEND`)."""

    kind: int
    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    task_id: str
    channel: str
    task_path: str
    layout: str | None
    idx: int
    size: int
    type: str
    literal: bytes | None
    checksum: int | None

    @property
    def key(self) -> CheckpointKey:
        """The primary key of its checkpoint."""
        return CheckpointKey(self.thread_id, self.checkpoint_ns, self.checkpoint_id)

    def __str__(self) -> str:
        return f"write {self.idx!r} of task {self.task_id!r} to channel {self.channel!r} at {_described(self.key)}"


class SegmentRow(NamedTuple):
    """A segment that the layout of a channel's value or of a write names."""

    kind: int
    thread_id: str
    unused_ns: None
    unused_id: None
    digest: str
    object_key: str | None
    unused: None
    unused_layout: None
    unused_number: None
    size: int
    encoding: str
    data: bytes | None
    unused_checksum: None


StoredRow = CheckpointRow | ChannelRow | WriteRow


class _Check(NamedTuple):
    """How the checksum of a row is computed: a function, its first argument, which is the row's key, and the others."""

    checksum: Callable[..., int]
    key: attrgetter[Any]
    cells: attrgetter[Any]


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
    """Those of some rows that are not as they were stored. A row without a checksum counts as intact."""
    found = []
    for row in rows:
        checksum, key, cells = _CHECKS[type(row)]
        try:
            intact = row.checksum is None or row.checksum == checksum(key(row), *cells(row))
        except (TypeError, AttributeError):
            # On SQLite a cell may have turned into another type.
            intact = False
        if not intact:
            found.append(row)
    return found


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
    raise CheckpointCorrupt(f"{row}{owner}: its row in the database was altered, the checksum does not match; {_WAY_OUT}")


def parsed_versions(key: CheckpointKey, versions: str) -> dict[str, str | None]:
    """The versions of a checkpoint's channels.

    Raises:
        CheckpointCorrupt: they can't be parsed (of a row without a checksum, or where none is compared: in a prune).
    """
    return parsed_object(key, "channel_versions", versions)


def parsed_metadata(key: CheckpointKey, metadata: str) -> dict[str, Any]:
    """The metadata of a checkpoint.

    Raises:
        CheckpointCorrupt: it can't be parsed.
    """
    return parsed_object(key, "metadata", metadata)


def parsed_object(key: CheckpointKey, column: str, text: str) -> dict[str, Any]:
    """The JSON in a column of a checkpoint. Every get has two of them, and calls this itself.

    Raises:
        CheckpointCorrupt: it can't be parsed.
    """
    try:
        parsed = json.loads(text)
        if isinstance(parsed, dict):
            return parsed
    except (TypeError, ValueError, RecursionError) as exc:
        raise CheckpointCorrupt(f"{_described(key)}: its {column} is no JSON; {_WAY_OUT}") from exc
    raise CheckpointCorrupt(f"{_described(key)}: its {column} is no JSON object; {_WAY_OUT}")


def _described(key: CheckpointKey) -> str:
    return f"checkpoint {key.checkpoint_id!r} of thread {key.thread_id!r} (namespace {key.checkpoint_ns!r})"


def parsed_layout(row: ChannelRow | WriteRow) -> Layout | None:
    """The layout of a value; None where the row has all of it.

    Raises:
        CheckpointCorrupt: it can't be parsed (of a row without a checksum).
    """
    if row.layout is None:
        return None
    try:
        layout = json.loads(row.layout)
        if isinstance(layout, list):
            return layout
    except (TypeError, ValueError, RecursionError) as exc:
        raise CheckpointCorrupt(f"{row}: its layout is no JSON; {_WAY_OUT}") from exc
    raise CheckpointCorrupt(f"{row}: its layout is no JSON array; {_WAY_OUT}")


def check_length(row: ChannelRow | WriteRow, layout: Layout, segments: SegmentSet) -> None:
    """Check that a value has its size, before anything of it is decompressed or joined.

    Raises:
        CheckpointCorrupt: the parts that its layout names have another size.
    """
    if not segments.fit(len(row.literal or b""), layout, row.size):
        raise CheckpointCorrupt(f"{row}: the parts in its layout do not add up to its {row.size} bytes; {_WAY_OUT}")


def refuse_incomplete(row: CheckpointRow, found: int) -> NoReturn:
    """Refuse a checkpoint of which fewer values were found than it was stored with.

    Raises:
        CheckpointCorrupt: always.
    """
    raise CheckpointCorrupt(f"{row}: {found} of the {row.value_count} stored values of its channels are left; {_WAY_OUT}")
