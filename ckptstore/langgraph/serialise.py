"""Serialises values with the saver's serialiser, and finds the large binary leaves and the blob handles in them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from ckptstore.errors import CheckpointTooLarge, NotEncrypted, SerializationFailed
from ckptstore.handles import BLOB_REF_NAMES, digests_in, may_hold_digests
from ckptstore.langgraph.attachments import attachments_of
from ckptstore.langgraph.serialiser.reusing import ReusingSerialiser
from ckptstore.langgraph.serialiser.writing import MIN_ELEMENTS, may_hold_messages
from ckptstore.records import (
    SerialisedValue,
    Value,
)
from ckptstore.values.binary_leaves import large_leaves_of, locate_leaves
from ckptstore.values.chunking import BLOB_BYTES

logger = logging.getLogger(__name__)

#: How many different blobs one value may refer to.
MAX_HANDLES = 50_000

# What LangGraph's own serialiser calls its formats.
PLAIN_TYPES = frozenset(("null", "bytes", "bytearray", "msgpack", "json", "pickle"))

# Values of other types, and smaller ones, are not worth the calls of `ReusingSerialiser`.
_LEAST_ELEMENTS: dict[type[Any], int] = {list: MIN_ELEMENTS, dict: 1, _DeltaSnapshot: 1}
_LEAST_BYTES = 2048

# Only serialises, and keeps no state, so worker threads can share it.
_PLAIN = JsonPlusSerializer(pickle_fallback=True)


def allow_handles(saver: BaseCheckpointSaver[Any]) -> SerializerProtocol:
    """The saver's serialiser with `BlobRef` in its allowlist, under the names of this and of earlier releases."""
    return BaseCheckpointSaver.with_allowlist(saver, BLOB_REF_NAMES).serde


def _is_not_about_handles(record: logging.LogRecord) -> bool:
    return not (isinstance(record.args, tuple) and record.args[:2] in BLOB_REF_NAMES)


# Without a strict allowlist, LangGraph warns that unknown types will be blocked in a future version. Handles are always allowed.
logging.getLogger("langgraph.checkpoint.serde.jsonplus").addFilter(_is_not_about_handles)


def serialise(serde: SerializerProtocol, value: Any, channel: str) -> Value:
    """Serialise the value of one channel, and find its large binary leaves and attachments.

    `with_references` finds the blobs that it refers to.

    Raises:
        SerializationFailed: the serialiser can't write it; the message names the channel, never the value.
    """
    if type(serde) is ReusingSerialiser:
        least = _LEAST_ELEMENTS.get(type(value))
        if least is None or len(value) < least or not may_hold_messages(value):
            serde = serde.serde
    try:
        type_, data = serde.dumps_typed(value)
    except Exception as exc:
        raise SerializationFailed(
            f"channel {channel!r} holds a value of type {type(value).__name__} that {_name_of(serde)} can't serialise "
            f"({type(exc).__name__}); keep it out of the state, or pass a serde that knows it"
        ) from exc
    data = bytes(data)
    if len(data) < BLOB_BYTES:
        return Value(type_, data)
    offsets = locate_leaves(large_leaves_of(value, type_, data), data)
    if type_ == "msgpack" and (attachments := attachments_of(value, data)):
        offsets = sorted([*offsets, *locate_leaves(attachments, data)])
    return Value(type_, data, offsets)


def _name_of(serde: SerializerProtocol) -> str:
    """The serialiser's class, as the user knows it."""
    return type(serde.serde if isinstance(serde, ReusingSerialiser) else serde).__name__


def with_references(serialised: Value, value: Any) -> Value:
    """The serialised value with the digests of the blobs that it refers to.

    Raises:
        CheckpointTooLarge: they are more than `MAX_HANDLES`: each is looked up, because any text may be a handle.
    """
    if serialised.type in PLAIN_TYPES and not may_hold_digests(serialised.data):
        # The usual case.
        return serialised
    found = _references(serialised.type, serialised.data, serialised.leaf_offsets, value)
    if len(found) > MAX_HANDLES:
        raise CheckpointTooLarge(
            f"a value of the state holds {len(found)} handles to blobs, or texts that look like them, more than {MAX_HANDLES}; "
            "spread them over several channels"
        )
    return serialised._replace(blob_digests=found) if found else serialised


def _references(type_: str, data: bytes, leaves: Sequence[int], value: Any) -> Sequence[str]:
    """The digests of the handles in a value, without its large binary leaves: those are files, and not text of the state."""
    if type_ not in PLAIN_TYPES:
        data, leaves = _plain_bytes(data, value), ()
    if not leaves:
        return digests_in(data)
    outside = zip([0, *leaves[1::2]], [*leaves[::2], len(data)], strict=True)
    return list(dict.fromkeys(digest for start, end in outside for digest in digests_in(data[start:end])))


def _plain_bytes(data: bytes, value: Any) -> bytes:
    """The value in a plain form, in which handles can be found; in encrypted bytes they can't."""
    try:
        return _PLAIN.dumps_typed(value)[1]
    except Exception:
        # The value's own methods run here and may raise anything. The caller's serialiser accepted the value, so the write continues,
        # and handles are searched in that serialiser's bytes.
        logger.debug("value can't be searched for blob handles", extra={"event": "blob_refs_not_scanned", "type": type(value).__name__})
        return data


def decode(serde: SerializerProtocol, value: SerialisedValue, channel: str) -> Any:
    """The value of a channel, see `decode_all`."""
    return decode_all(serde, [(channel, value)])[0]


def decode_all(serde: SerializerProtocol, values: Iterable[tuple[str, SerialisedValue]]) -> list[Any]:
    """The values of some channels that `serialise` was given.

    Raises:
        SerializationFailed: the serialiser can't read one; the message names the channel and the type tag.
        NotEncrypted: the serialiser reads only encrypted values.
        BlobMissing: a segment is missing.
        BlobCorrupt: a segment's bytes have another digest.
    """
    for_small = serde.serde if type(serde) is ReusingSerialiser else serde
    decoded: list[Any] = []
    for channel, value in values:
        data = value.data
        try:
            decoded.append((for_small if len(data) < _LEAST_BYTES else serde).loads_typed((value.type, data)))
        except NotEncrypted as exc:
            raise NotEncrypted(
                f"channel {channel!r} was stored as {value.type!r}, without encryption, and this saver's serialiser encrypts; if "
                "the store was filled before encryption was switched on, give the saver allow_plain=True"
            ) from exc
        except Exception as exc:
            raise SerializationFailed(
                f"channel {channel!r} was stored as {value.type!r}, which {_name_of(serde)} can't read "
                f"({type(exc).__name__}); open the store with the serde (and key) that wrote it"
            ) from exc
    return decoded
