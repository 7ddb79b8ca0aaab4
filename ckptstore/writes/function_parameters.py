"""The parameters of the function that stores a batch on PostgreSQL (`sql.batch_function`), straight from the encoded writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ckptstore.db.sql.batch_function import PARTS, array_literal
from ckptstore.records import NewCheckpoint, NewWrites
from ckptstore.values.checksums import channel_checksum, checkpoint_checksum, write_checksum
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.rows import new_generation
from ckptstore.writes.sent_tags import in_order

_ENTRY_ELEMENTS = 5
# As PostgreSQL writes them.
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Data:
    """Bytes of many values, which rows name by start and length."""

    __slots__ = ("end", "slices")

    def __init__(self) -> None:
        self.slices: list[bytes] = []
        #: Where the next one starts, as PostgreSQL counts.
        self.end = 1


class FunctionParameters:
    """Collects the rows of some writes as flat lists of texts, in the order in which migration 0006 reads them.

    Args:
        writes: the writes of a batch, each with its number in it; no two of them write the same row.
        data: what their bytes are added to; None for bytes of their own.
    """

    def __init__(self, writes: Mapping[int, EncodedWrite], data: Data | None = None) -> None:
        self._numbers = list(writes)
        #: The elements of each part, in the order of `PARTS`.
        self.parts: dict[str, list[str]] = {part: [] for part in PARTS}
        self._entries = self.parts["entries"]
        self._data = data or Data()
        #: Thread and digest of segments that are stored in any case: other writes of the batch may have the same.
        self._sent: set[tuple[str, str]] = set()
        for write in writes.values():
            self._add(write)

    def named(self, lock_timeout: str | None) -> dict[str, Any]:
        """The parameters by name.

        Args:
            lock_timeout: how long to wait for the row of a thread, as PostgreSQL takes it; None for as long as the server lets it.
        """
        data = b"".join(self._data.slices)
        arrays = {part: array_literal(elements) if elements else None for part, elements in self.parts.items()}
        return {"wait_for_locks": lock_timeout, "new_generation": new_generation(), "data": data, **arrays}

    def stored(self, left_out: str) -> set[int]:
        """The numbers of the writes that were stored, from the function's answer."""
        numbers = set(self._numbers)
        if left_out:
            numbers.difference_update([self._numbers[int(entry) // _ENTRY_ELEMENTS] for entry in left_out.split(",")])
        return numbers

    def _add(self, write: EncodedWrite) -> None:
        record, entry = write.record, str(len(self._entries) + 1)
        if isinstance(record, NewCheckpoint):
            self._entries += (*record.key, str(record.created_at), str(record.size))
            self._add_checkpoint(entry, write, record)
        else:
            self._entries += (*record.key, str(record.created_at), "")
            self._add_task_writes(entry, write, record)
        known = self.parts["known"]
        for digest in write.known:
            known += (entry, digest)
        if write.segments:
            self._add_segments(entry, write)

    def _add_checkpoint(self, entry: str, write: EncodedWrite, put: NewCheckpoint) -> None:
        parent, body, versions, metadata = put.parent_checkpoint_id, put.body, put.channel_versions, put.metadata
        count = len(put.values) + len(put.carried)
        checksum = checkpoint_checksum(put.key, parent, put.format, body.type, body.data, versions, metadata, count)
        head = (entry, "" if parent is None else f"={parent}", str(put.format), body.type, *self._slice(body.data))
        self.parts["checkpoints"] += (*head, versions, metadata, str(count), str(checksum))
        carried, channels, tags = self.parts["carried"], self.parts["channels"], self.parts["tags"]
        for channel, version in put.carried:
            carried += (entry, channel, version)
        for (channel, version, value), form in zip(put.values, write.forms, strict=True):
            size = len(value.data)
            checksum = channel_checksum((*put.key[:2], channel, version), value.type, size, *form)
            channels += (entry, channel, version, value.type, str(size), *self._slice(form.value), form.layout or "", str(checksum))
        if put.postings:
            # A number with a sign is the same to what reads no sign.
            mark = f"+{entry}" if _UUID.fullmatch(put.key.checkpoint_id) else entry
            for posting in in_order(put.postings):
                tags += (mark, *posting)

    def _add_segments(self, entry: str, write: EncodedWrite) -> None:
        thread_id, segments = write.record.key.thread_id, self.parts["segments"]
        # The others may turn out to miss something, or to exist.
        is_certain = isinstance(write.record, NewWrites) and not write.known
        for digest, size, encoding, data, _ in write.segments:
            if (thread_id, digest) in self._sent:
                continue
            if is_certain:
                self._sent.add((thread_id, digest))
            segments += (entry, digest, str(size), encoding, *self._slice(data))

    def _add_task_writes(self, entry: str, write: EncodedWrite, record: NewWrites) -> None:
        rows = {}
        for one, form in zip(record.writes, write.forms, strict=True):
            # Of several with one index, a replacing batch stores the last, any other the first.
            if record.replace or one.idx not in rows:
                rows[one.idx] = (one, form)
        part = self.parts["replaced_writes" if record.replace else "kept_writes"]
        for idx, (one, form) in rows.items():
            type_, size = one.value.type, len(one.value.data)
            checksum = write_checksum((*record.key, record.task_id, idx), record.task_path, one.channel, type_, size, *form)
            part += (entry, record.task_id, str(idx), record.task_path, one.channel, type_, str(size))
            part += (*self._slice(form.value), form.layout or "", str(checksum))

    def _slice(self, data: bytes | None) -> tuple[str, str]:
        """Start and length of some bytes among the others."""
        if data is None:
            return "1", ""
        collected, length = self._data, len(data)
        collected.slices.append(data)
        start = collected.end
        collected.end += length
        return str(start), str(length)
