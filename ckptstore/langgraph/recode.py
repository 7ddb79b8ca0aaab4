"""Stored values serialised anew under another serialiser, as a change of keys needs it."""

from __future__ import annotations

from typing import Any, Protocol

from langgraph.checkpoint.serde.base import CipherProtocol, SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.errors import CheckpointCorrupt, InvalidConfig, NotEncrypted, SerializationFailed
from ckptstore.langgraph.serialise import PLAIN_TYPES, decode, serialise
from ckptstore.langgraph.trust import CIPHER_MARK
from ckptstore.reads.rows import WAY_OUT
from ckptstore.records import SerialisedValue, Value

_PROBE = "a text that no wrong key gives by chance"
#: A part of bodies from schema revision 0001, whose values are serialised by themselves.
_INNER_VALUES = "channel_values"
_BODY = "(the checkpoint itself)"


class Layer(Protocol):
    """What a serialiser puts round the bytes of a value."""

    def open(self, stored: SerialisedValue) -> tuple[str, bytes]:
        """The type tag and the bytes within."""

    def close(self, type_: str, data: bytes) -> Value:
        """The value with the layer round it."""


class _Encryption:
    def __init__(self, cipher: CipherProtocol, *, allow_plain: bool) -> None:
        self._cipher = cipher
        self._allow_plain = allow_plain

    def open(self, stored: SerialisedValue) -> tuple[str, bytes]:
        type_, mark, cipher_name = stored.type.partition(CIPHER_MARK)
        if mark:
            return type_, self._cipher.decrypt(cipher_name, stored.data)
        if self._allow_plain:
            return type_, stored.data
        raise NotEncrypted(f"a value was stored as {type_!r}, without encryption; allow_plain=True (--allow-plain) takes such values too")

    def close(self, type_: str, data: bytes) -> Value:
        cipher_name, encrypted = self._cipher.encrypt(data)
        return Value(f"{type_}{CIPHER_MARK}{cipher_name}", encrypted)


class _Nothing:
    def open(self, stored: SerialisedValue) -> tuple[str, bytes]:
        if stored.type not in PLAIN_TYPES:
            raise ValueError("it is encrypted, or another serialiser wrote it")
        return stored.type, stored.data

    def close(self, type_: str, data: bytes) -> Value:
        return Value(type_, data)


def layer_of(serde: SerializerProtocol, *, allow_plain: bool = False) -> Layer | None:
    """The layer of LangGraph's own serialisers; None for another one, which only builds objects."""
    if type(serde) is EncryptedSerializer and type(serde.serde) is JsonPlusSerializer:
        return _Encryption(serde.cipher, allow_plain=allow_plain)
    return _Nothing() if type(serde) is JsonPlusSerializer else None


class Recoder:
    """Takes stored values from one serialiser to another. Between LangGraph's own ones no object is built, so no class is imported.

    Args:
        old: wrote the values.
        new: shall read them.
        allow_plain: whether an encrypting `old` has also left values that are not encrypted.

    Raises:
        InvalidConfig: `new` reads what `old` writes, so that finished values could not be recognised.
    """

    def __init__(self, old: SerializerProtocol, new: SerializerProtocol, *, allow_plain: bool = False) -> None:
        self._old, self._new = old, new
        self._old_layer, self._new_layer = layer_of(old, allow_plain=allow_plain), layer_of(new)
        if self._is_done(Value(*old.dumps_typed(_PROBE))):
            raise InvalidConfig(
                "the new serialiser reads what the old one writes: both have the same key, or a cipher notices no wrong key"
            )

    def value(self, stored: SerialisedValue, channel: str) -> Value | None:
        """A value under the new serialiser; None if the new one reads it already.

        Raises:
            SerializationFailed: neither serialiser can read it.
            NotEncrypted: it is not encrypted, and `allow_plain` is False.
        """
        if self._is_done(stored):
            return None
        if self._old_layer is None or self._new_layer is None:
            return serialise(self._new, decode(self._old, stored, channel), channel)
        return self._new_layer.close(*self._opened(self._old_layer, stored, channel))

    def body(self, stored: SerialisedValue) -> Value | None:
        """The body of a checkpoint under the new serialiser, with the values in it; None if the new one reads it already.

        Raises:
            SerializationFailed: neither serialiser can read it.
            NotEncrypted: it is not encrypted, and `allow_plain` is False.
            CheckpointCorrupt: it was altered (of a row without a checksum).
        """
        if self._is_done(stored):
            return None
        body: dict[str, Any] = decode(self._old, stored, _BODY)
        inner = _inner_values(body)
        if inner:
            body[_INNER_VALUES] = {channel: self._inner(value, channel) for channel, value in inner.items()}
        return serialise(self._new, body, _BODY)

    def _inner(self, stored: Value, channel: str) -> tuple[str, bytes]:
        recoded = self.value(stored, channel) or stored
        return recoded.type, recoded.data

    def _is_done(self, stored: SerialisedValue) -> bool:
        try:
            if self._new_layer is None:
                self._new.loads_typed((stored.type, stored.data))
            else:
                self._new_layer.open(stored)
        except Exception:
            # Whatever a wrong key raises.
            return False
        return True

    def _opened(self, layer: Layer, stored: SerialisedValue, channel: str) -> tuple[str, bytes]:
        try:
            return layer.open(stored)
        except NotEncrypted:
            raise
        except Exception as exc:
            raise SerializationFailed(
                f"channel {channel!r} was stored as {stored.type!r}, which neither the old nor the new serialiser can read "
                f"({type(exc).__name__}); give the one that wrote it as the old one"
            ) from exc


def _inner_values(body: Any) -> dict[str, Value]:
    """The values that a body has in it, each serialised by itself."""
    try:
        return {channel: Value(*value) for channel, value in body.get(_INNER_VALUES, {}).items()}
    except (TypeError, AttributeError) as exc:
        raise CheckpointCorrupt(f"the body of a checkpoint was altered; {WAY_OUT}") from exc
