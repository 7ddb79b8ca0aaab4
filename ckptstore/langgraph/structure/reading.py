"""Reads the bytes of LangGraph's serialiser into a structure, see `ckptstore.langgraph.structure.nodes`.

The bytes may be anybody's. Nothing that they name is imported, built or called; what can't be read becomes a `NotShown`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import msgpack
from langgraph.checkpoint.serde import jsonplus
from langgraph.checkpoint.serde.base import SerializerProtocol

from ckptstore.langgraph.structure.nodes import NotShown, Pairs, Structure, Typed
from ckptstore.langgraph.trust import CIPHER_MARK
from ckptstore.records import SerialisedValue, Value

# Objects within objects: each level is a call of the reader from within the last one.
_MAX_NESTED_OBJECTS = 64
_MAX_COPIES = 8
#: Objects that hide their content wherever they are shown.
_SECRETS = frozenset(("pydantic.types.SecretStr", "pydantic.types.SecretBytes", "pydantic.v1.types.SecretStr"))
_SECRET = NotShown("a secret")

Form = Literal["value", "arguments", "fields"]
# LangGraph's codes of objects: [module, name, content] or [module, name, content, method].
_FORMS: Final[Mapping[int, Form]] = {
    jsonplus.EXT_CONSTRUCTOR_SINGLE_ARG: "value",
    jsonplus.EXT_CONSTRUCTOR_POS_ARGS: "arguments",
    jsonplus.EXT_CONSTRUCTOR_KW_ARGS: "fields",
    jsonplus.EXT_METHOD_SINGLE_ARG: "value",
    jsonplus.EXT_PYDANTIC_V1: "fields",
    jsonplus.EXT_PYDANTIC_V2: "fields",
}
_LEAST_PARTS = 3
_ARRAY_PARTS = ("dtype", "shape", "order", "data")
_DELTA_SNAPSHOT = "langgraph.checkpoint.serde.types._DeltaSnapshot"

#: Takes a value; returns it without encryption.
Decrypt = Callable[[SerialisedValue], SerialisedValue]


def structure_of(value: SerialisedValue, decrypt: Decrypt | None = None) -> Structure:
    """The structure of a serialised value.

    Args:
        value: type tag and bytes, as a serialiser's `dumps_typed` gives them.
        decrypt: opens encrypted values, see `decrypting`.
    """
    if not isinstance(value.type, str):
        # On SQLite a cell may have turned into another type.
        return _unreadable(TypeError())
    if CIPHER_MARK in value.type and decrypt is not None:
        try:
            value = decrypt(value)
        except Exception as exc:
            # A cipher's own error, of any kind: its text may have the key in it.
            return NotShown(f"encrypted ({value.type}), and not with the key of --serde ({type(exc).__name__})")
    read = _READERS.get(value.type)
    if read is None:
        return NotShown(_why_not(value.type))
    try:
        return read(value.data)
    except Exception as exc:
        return _unreadable(exc)


def _why_not(type_: str) -> str:
    if CIPHER_MARK in type_:
        return f"encrypted ({type_}); give the serialiser with its key: --serde my_app.keys:serde"
    if type_ == "pickle":
        return "pickled: to read it is to run what is in it"
    return f"stored as {type_!r}, a format of another serialiser than LangGraph's own"


def decrypting(serde: SerializerProtocol) -> Decrypt | None:
    """Opens what a serialiser such as `EncryptedSerializer` has encrypted; None if the serialiser has no cipher."""
    cipher = getattr(serde, "cipher", None)
    if cipher is None:
        return None

    def decrypt(value: SerialisedValue) -> SerialisedValue:
        type_, _, name = value.type.partition(CIPHER_MARK)
        return Value(type_, cipher.decrypt(name, value.data))

    return decrypt


# --- msgpack


class _MsgpackReader:
    """Reads one value, and the objects within it.

    Args:
        size: bytes of the value.
    """

    def __init__(self, size: int) -> None:
        self._depth = 0
        #: The bytes of objects within objects, which are copied for each level, may have so many together.
        self._left = _MAX_COPIES * size

    def read(self, data: bytes) -> Structure:
        return msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=False,
            unicode_errors="backslashreplace",
            # MessagePack's own type of times, which LangGraph does not write: as seconds.
            timestamp=1,
            object_pairs_hook=_mapping,
            ext_hook=self._object,
        )

    def _object(self, code: int, data: bytes) -> Structure:
        if self._depth >= _MAX_NESTED_OBJECTS or len(data) > self._left:
            return NotShown("objects nested too deep in each other")
        self._depth += 1
        self._left -= len(data)
        try:
            return _typed(code, self.read(data))
        except Exception as exc:
            return _unreadable(exc)
        finally:
            self._depth -= 1
            self._left += len(data)


def _unreadable(exc: Exception) -> NotShown:
    """Bytes of any kind raise errors of any kind; their texts may have parts of the value in them."""
    return NotShown(f"damaged, or not of LangGraph's serialiser: it can't be read ({type(exc).__name__})")


def _read_msgpack(data: bytes) -> Structure:
    return _MsgpackReader(len(data)).read(data)


def _mapping(pairs: Sequence[tuple[Structure, Structure]]) -> Structure:
    try:
        return {_as_key(key): value for key, value in pairs}
    except TypeError:
        # A key that can't be hashed, such as an object with a list in it.
        return Pairs(tuple(pairs))


def _as_key(key: Structure) -> Structure:
    """A list as a tuple, as LangGraph's serialiser reads one that is a key."""
    return tuple(map(_as_key, key)) if isinstance(key, list) else key


def _typed(code: int, parts: Structure) -> Structure:
    if code == jsonplus.EXT_DELTA_SNAPSHOT:
        return Typed(_DELTA_SNAPSHOT, parts, "value")
    if isinstance(parts, list) and code == jsonplus.EXT_NUMPY_ARRAY and len(parts) == len(_ARRAY_PARTS):
        return Typed("numpy.ndarray", dict(zip(_ARRAY_PARTS, parts, strict=True)), "fields")
    if code not in _FORMS or not isinstance(parts, list) or len(parts) < _LEAST_PARTS or not all(isinstance(p, str) for p in parts[:2]):
        return NotShown(f"an extension of MessagePack (code {code}) that LangGraph's serialiser does not write")
    return _object_of(f"{parts[0]}.{parts[1]}", parts[2], _FORMS[code])


def _object_of(type_: str, content: Structure, form: Form) -> Typed:
    if type_ in _SECRETS:
        return Typed(type_, _SECRET, "value")
    fits = {"fields": isinstance(content, dict) and all(isinstance(key, str) for key in content), "arguments": isinstance(content, list)}
    return Typed(type_, content, form if fits.get(form) else "value")


# --- JSON, which LangGraph wrote until 2024


def _read_json(data: bytes) -> Structure:
    return json.loads(data, object_hook=_from_json)


def _from_json(entries: dict[str, Any]) -> Structure:
    """A dict of JSON: LangChain's and LangGraph's own describe objects."""
    named = entries.get("id")
    if entries.get("lc") not in (1, 2) or not isinstance(named, list) or not all(isinstance(part, str) for part in named):
        return entries
    type_ = ".".join(named)
    if entries.get("type") == "secret":
        return Typed(type_, _SECRET, "value")
    if entries.get("type") == "not_implemented":
        return Typed(type_, entries.get("repr"), "value")
    if entries.get("type") != "constructor":
        return entries
    if entries.get("args"):
        arguments = entries["args"] if not entries.get("kwargs") else [*entries["args"], entries["kwargs"]]
        return _object_of(type_, arguments, "arguments")
    return _object_of(type_, entries.get("kwargs") or {}, "fields")


def _read_null(_data: bytes) -> Structure:
    return None


_READERS: Final[Mapping[str, Callable[[bytes], Structure]]] = {
    "null": _read_null,
    "bytes": bytes,
    "bytearray": bytes,
    "msgpack": _read_msgpack,
    "json": _read_json,
}
