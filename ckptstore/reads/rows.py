"""The rows of `ckptstore.db.sql.checkpoints.whole`, which come in four shapes, and the JSON in them.

All shapes have the columns of `whole`; a column that a shape does not use is named `unused`.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, NoReturn

from ckptstore.errors import CheckpointCorrupt
from ckptstore.records import CheckpointKey, Layout
from ckptstore.values.decode import SegmentSet

#: What a message about an altered row ends with.
WAY_OUT = "restore it from a backup, or delete the thread"


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
        return described(self.key)


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
        return f"write {self.idx!r} of task {self.task_id!r} to channel {self.channel!r} at {described(self.key)}"


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
        raise CheckpointCorrupt(f"{described(key)}: its {column} is no JSON; {WAY_OUT}") from exc
    raise CheckpointCorrupt(f"{described(key)}: its {column} is no JSON object; {WAY_OUT}")


def described(key: CheckpointKey) -> str:
    """A checkpoint as messages name it."""
    return f"checkpoint {key.checkpoint_id!r} of thread {key.thread_id!r} (namespace {key.checkpoint_ns!r})"


def parsed_layout(row: ChannelRow | WriteRow) -> Layout | None:
    """The layout of a value; None where the row has all of it.

    Raises:
        CheckpointCorrupt: it can't be parsed (of a row without a checksum).
    """
    return None if row.layout is None else layout_of(row, row.layout)


def layout_of(owner: object, text: str | bytes) -> Layout:
    """The layout of a value, or the digests in a list of segments, from JSON.

    Args:
        owner: what has it, as the message names it.
        text: the JSON.

    Raises:
        CheckpointCorrupt: it can't be parsed (of a row without a checksum, or where none is compared: in a prune).
    """
    try:
        layout = json.loads(text)
        if isinstance(layout, list):
            return layout
    except (TypeError, ValueError, RecursionError) as exc:
        raise CheckpointCorrupt(f"{owner}: its layout is no JSON; {WAY_OUT}") from exc
    raise CheckpointCorrupt(f"{owner}: its layout is no JSON array; {WAY_OUT}")


def check_length(row: ChannelRow | WriteRow, layout: Layout, segments: SegmentSet) -> None:
    """Check that a value has its size, before anything of it is decompressed or joined.

    Raises:
        CheckpointCorrupt: the parts that its layout names have another size.
    """
    if not segments.fit(len(row.literal or b""), layout, row.size):
        raise CheckpointCorrupt(f"{row}: the parts in its layout do not add up to its {row.size} bytes; {WAY_OUT}")


def refuse_incomplete(row: CheckpointRow, found: int) -> NoReturn:
    """Refuse a checkpoint of which fewer values were found than it was stored with.

    Raises:
        CheckpointCorrupt: always.
    """
    raise CheckpointCorrupt(f"{row}: {found} of the {row.value_count} stored values of its channels are left; {WAY_OUT}")
