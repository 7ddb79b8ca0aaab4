"""Records of the rows of official savers: their bytes are taken over, and no object is built."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from ckptstore.db.times import to_microseconds
from ckptstore.errors import NotEncrypted, SerializationFailed
from ckptstore.langgraph.checks import checked_versions
from ckptstore.langgraph.config import check_channels, check_ids
from ckptstore.langgraph.encode import OWN_VERSION, SCALARS, is_scalar
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.langgraph.imports.forms import FORMS, PLAIN, Form, ObjectForm, Part
from ckptstore.langgraph.recode import Layer, layer_of
from ckptstore.records import CheckpointKey, NewCheckpoint, NewWrite, NewWrites, Posting, SerialisedValue, Value
from ckptstore.tags.encoding import postings
from ckptstore.tags.keys import TagKeys
from ckptstore.tags.metadata_json import encode_metadata
from ckptstore.values.base64_text import base64_offsets
from ckptstore.values.binary_leaves import bin32_offsets
from ckptstore.values.chunking import BLOB_BYTES
from ckptstore.values.metadata_limits import MetadataChecker
from ckptstore.values.size_limits import SizeLimits

_BODY = "(the checkpoint itself)"
# In metadata that has more tags than this, what the nodes wrote (LangGraph put it there until 2025) is not indexed.
_MAX_TAGS = 1_000
_WRITES = "writes"
_NO_LIMITS = MetadataChecker(SizeLimits(max_metadata_bytes=None, max_tags=None))
# 100-nanosecond intervals from the epoch of UUIDs (1582) to 1970.
_UUID_EPOCH = 0x01B21DD213814000
# In place of the hash of a value: it came as a row of its own.
_IN_A_ROW = 0
# The same where a checkpoint has none. No hash is -1.
_ABSENT = -1


class RawRecords:
    """Makes records of one thread's rows, the oldest checkpoint first.

    Args:
        source: the serialiser of the source; None for LangGraph's own, without encryption.
        target: the target's.
        tag_keys: which metadata keys are in the target's index.
    """

    def __init__(self, source: SerializerProtocol | None, target: SerializerProtocol, tag_keys: TagKeys) -> None:
        self._serde = source
        self._open: Layer | None = None if source is None else layer_of(source, allow_plain=True) or _Objects(source)
        self._close: Layer = layer_of(target) or _Objects(target)
        self._tag_keys = tag_keys
        #: (namespace, channel, version) of each value -> a hash of it, `_IN_A_ROW` or `_ABSENT`.
        self._seen: dict[tuple[str, str, str], int] = {}
        self._created_at: dict[tuple[str, str], int] = {}

    def of_another_thread(self) -> RawRecords:
        """Makes records of another thread."""
        other = copy.copy(self)
        other._seen, other._created_at = {}, {}
        return other

    # --- values

    def recoded(self, type_: str, data: bytes, channel: str) -> Value:
        """A serialised value under the target's serialiser."""
        opened = self._opened(type_, data, channel)
        return self._closed(*opened)

    def _closed(self, type_: str, data: bytes) -> Value:
        value = self._close.close(type_, data)
        if value.type != "msgpack" or len(value.data) < BLOB_BYTES:
            return value
        return value._replace(leaf_offsets=sorted([*bin32_offsets(value.data), *base64_offsets(value.data)]))

    def _opened(self, type_: str, data: bytes, channel: str) -> tuple[str, bytes]:
        if self._open is None:
            if "+" in type_:
                what = "a checkpoint itself" if channel == _BODY else f"channel {channel!r}"
                raise NotEncrypted(f"{what} is encrypted ({type_}): give the serialiser that reads it (--serde module:object)")
            return type_, data
        try:
            return self._open.open(Value(type_, data))
        except Exception as exc:
            raise SerializationFailed(
                f"channel {channel!r} was stored as {type_!r}, which the serialiser of the source can't read ({type(exc).__name__}); "
                "give the one that wrote it, with its key (--serde module:object)"
            ) from exc

    def value(self, key: CheckpointKey, channel: str, version: str, type_: str, data: bytes) -> NewCheckpoint:
        """A channel's value that the source has as a row of its own: a record of nothing else."""
        check_channels([channel])
        self._seen[key.checkpoint_ns, channel, version] = _IN_A_ROW
        values = [(channel, version, self.recoded(type_, data, channel))]
        return NewCheckpoint(key, None, 0, 0, Value("null", b""), "{}", "{}", values, (), frozenset(), 0)

    # --- checkpoints

    def checkpoint(
        self, key: CheckpointKey, parent_id: str | None, type_: str, data: bytes, metadata: Mapping[str, Any], *, is_plain: bool = False
    ) -> NewCheckpoint:
        """A checkpoint.

        Args:
            key: its key.
            parent_id: the id of its parent.
            type_: the serialiser's type tag of `data`.
            data: the serialised checkpoint.
            metadata: its metadata.
            is_plain: whether the source has it unencrypted whatever its serialiser.

        Raises:
            SerializationFailed: it is in a form that only objects can be made of, or encrypted.
            InvalidConfig: an id or a name can't be stored.
        """
        check_ids(key._asdict(), parent_id=parent_id or "")
        type_, data = (type_, data) if is_plain else self._opened(type_, data, _BODY)
        form = FORMS.get(type_) or self._object_form(key, type_)
        made = _Parts(form, key, form.split(data), self._seen)
        text, found = self._metadata(key, metadata)
        body = self._close.close(form.type, form.join(made.body()))
        values = [(channel, version, self._closed(*value)) for channel, version, value in made.values]
        created_at = self._created_at[key[1:]] = made.created_at
        return NewCheckpoint(
            key=key,
            parent_checkpoint_id=parent_id,
            created_at=created_at,
            format=made.format,
            body=body,
            channel_versions=json.dumps({**made.texts, **dict.fromkeys(made.scalars)}, separators=(",", ":")),
            metadata=text,
            values=values,
            carried=made.carried,
            postings=found,
            size=len(body.data) + sum(len(value.data) for _, _, value in values),
        )

    def _object_form(self, key: CheckpointKey, type_: str) -> Form:
        if self._serde is None:
            raise SerializationFailed(
                f"checkpoint {key.checkpoint_id!r} was stored as {type_!r}, which is read only by building its objects; give the "
                "serialiser that reads it (--serde module:object)"
            )
        return ObjectForm(self._serde.serde if isinstance(self._serde, EncryptedSerializer) else self._serde, type_)

    def _metadata(self, key: CheckpointKey, metadata: Mapping[str, Any]) -> tuple[str, frozenset[Posting]]:
        text, values = encode_metadata(metadata)
        found = postings(values, self._tag_keys, LANGGRAPH.unindexed_when_empty)
        if len(found) > _MAX_TAGS and _WRITES in values:
            without = {name: value for name, value in values.items() if name != _WRITES}
            found = postings(without, self._tag_keys, LANGGRAPH.unindexed_when_empty)
        _NO_LIMITS.check_tags(key, found)
        return text, found

    # --- writes

    def write(self, key: CheckpointKey, task_id: str, idx: int, task_path: str, channel: str, type_: str | None, data: bytes) -> NewWrites:
        """One write of a task."""
        check_ids({**key._asdict(), "task id": task_id}, task_path=task_path)
        check_channels([channel])
        created_at = self._created_at.get(key[1:])
        if created_at is None:
            created_at = time_of_id(key.checkpoint_id)
        value = self.recoded(type_ or "null", data or b"", channel)
        return NewWrites(key, task_id, task_path, created_at, [NewWrite(idx, channel, value)], replace=False)


class _Objects:
    """The layer of a serialiser of the user's, which only objects pass."""

    def __init__(self, serde: SerializerProtocol) -> None:
        self._serde = serde

    def open(self, stored: SerialisedValue) -> tuple[str, bytes]:
        """See `Layer.open`."""
        return PLAIN.dumps_typed(self._serde.loads_typed((stored.type, stored.data)))

    def close(self, type_: str, data: bytes) -> Value:
        """See `Layer.close`."""
        return Value(*self._serde.dumps_typed(PLAIN.loads_typed((type_, data))))


class _Parts:
    """A checkpoint's parts, grouped by how each is stored."""

    def __init__(self, form: Form, key: CheckpointKey, parts: dict[str, Part], seen: dict[tuple[str, str, str], int]) -> None:
        self._form, self._key, self._seen = form, key, seen
        self._rest = parts
        given = form.inner(parts.pop("channel_values")) if "channel_values" in parts else {}
        self._given_versions: Part = parts.pop("channel_versions", None)
        versions = {} if self._given_versions is None else form.plain(self._given_versions)
        self.format = int(form.plain(parts.pop("v"))) if "v" in parts else 1
        parts.pop("id", None)
        self.created_at = time_of(form.plain(parts["ts"]) if "ts" in parts else None, key.checkpoint_id)
        #: Channel -> version, as text.
        self.texts = checked_versions(key, versions)
        # Whether the column has other versions than the checkpoint: the body then has the checkpoint's.
        self._overridden = not set(map(type, versions.values())) <= {str}
        self._unversioned: list[str] = []
        self.scalars: dict[str, Part] = {}
        #: (channel, version, value) of those that are new.
        self.values: list[tuple[str, str, tuple[str, bytes]]] = []
        self.carried: list[tuple[str, str]] = []
        for channel, part in given.items():
            self._take(channel, part)
        for channel in self.texts.keys() - given.keys():
            self._take_absent(channel)

    def _take(self, channel: str, part: Part) -> None:
        if channel not in self.texts:
            check_channels([channel])
            self.texts[channel] = self._own_version
            self._unversioned.append(channel)
        known = self._seen.get(self._row(channel))
        if known == _IN_A_ROW:
            # The row is what counts: for a snapshot of a delta channel the checkpoint has only a mark.
            self.carried.append((channel, self.texts[channel]))
        elif self._form.may_be_scalar(part) and is_scalar(plain := self._form.plain(part)):
            self.scalars[channel] = self._form.pair(self._form.part(self.texts[channel]), self._form.part(plain))
        else:
            self._take_value(channel, self._form.value(part), known)

    def _take_value(self, channel: str, value: tuple[str, bytes], known: int | None) -> None:
        mark = hash(value) or 1
        if known == mark:
            self.carried.append((channel, self.texts[channel]))
            return
        if known is not None:
            # Two checkpoints have different values of one version, or only one of the two has a value.
            self._override(channel)
        self._seen[self._row(channel)] = mark
        self.values.append((channel, self.texts[channel], value))

    def _take_absent(self, channel: str) -> None:
        """A channel with a version and no value in the checkpoint."""
        known = self._seen.get(self._row(channel))
        if known == _IN_A_ROW:
            self.carried.append((channel, self.texts[channel]))
        elif known is None:
            self._seen[self._row(channel)] = _ABSENT
        elif known != _ABSENT:
            # An earlier checkpoint has a value of this version, and this one has none.
            self._override(channel)

    def _row(self, channel: str) -> tuple[str, str, str]:
        return (self._key.checkpoint_ns, channel, self.texts[channel])

    @property
    def _own_version(self) -> str:
        return f"{OWN_VERSION}{self._key.checkpoint_id}"

    def _override(self, channel: str) -> None:
        self._overridden = True
        self.texts[channel] = self._own_version

    def body(self) -> dict[str, Part]:
        """What is serialised together."""
        parts = dict(self._rest)
        if self.scalars:
            parts[SCALARS] = self._form.mapping(self.scalars)
        if self._unversioned:
            parts["unversioned"] = self._form.part(self._unversioned)
        if self._overridden and self._given_versions is not None:
            parts["channel_versions"] = self._given_versions
        return parts


def time_of(text: Any, checkpoint_id: str) -> int:
    """When a checkpoint was made, in microseconds since 1970: by its `ts`, or else by its id."""
    if isinstance(text, str):
        try:
            return to_microseconds(datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            pass
    return time_of_id(checkpoint_id)


def time_of_id(checkpoint_id: str) -> int:
    """When a checkpoint with this id was made, by the time in a UUID; 0 for another id."""
    try:
        found = uuid.UUID(checkpoint_id)
    except ValueError:
        return 0
    if found.version == 7:
        return (found.int >> 80) * 1000
    if found.version != 6:
        return 0
    ticks = (found.int >> 80) << 12 | (found.int >> 64 & 0x0FFF)
    return max(0, (ticks - _UUID_EPOCH) // 10)
