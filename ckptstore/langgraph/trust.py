"""How much a saver trusts what it reads: which classes its serialiser may build, and whether values may be unencrypted.

Whoever can write to the database chooses what the serialiser reads. LangGraph's default builds an object of any class that a value
names, and its `EncryptedSerializer` reads a value without the cipher's tag as it is.
"""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.errors import InvalidConfig, NotEncrypted

#: Between the type tag of a value and the name of its cipher.
CIPHER_MARK = "+"


@dataclass(frozen=True)
class Probe:
    """A class that no allowlist names: a serialiser that builds an object of it builds one of any class."""


def _is_not_about_probe(record: logging.LogRecord) -> bool:
    return not (isinstance(record.args, tuple) and record.args[:2] == (Probe.__module__, Probe.__qualname__))


# LangGraph warns of each class that it does not know.
logging.getLogger("langgraph.checkpoint.serde.jsonplus").addFilter(_is_not_about_probe)


def strict_serialiser(given: SerializerProtocol | None) -> SerializerProtocol:
    """The serialiser of a saver with `strict=True`: LangGraph's own with an empty allowlist, or the one that was given.

    Raises:
        InvalidConfig: the one that was given builds objects of classes that no allowlist names.
    """
    if given is None:
        return JsonPlusSerializer(allowed_msgpack_modules=None)
    if any(_builds_probe(given, type_, data) for type_, data in _probes()):
        raise InvalidConfig(
            f"strict=True, but this {type(given).__name__} builds objects of any class that a stored value names; give it "
            "JsonPlusSerializer(allowed_msgpack_modules=[...]) without pickle_fallback, or leave serde out"
        )
    return given


def _builds_probe(serde: SerializerProtocol, type_: str, data: bytes) -> bool:
    try:
        return isinstance(serde.loads_typed((type_, data)), Probe)
    except Exception:
        # It refuses the format, as it should.
        return False


def _probes() -> Iterator[tuple[str, bytes]]:
    yield JsonPlusSerializer().dumps_typed(Probe())
    yield "pickle", pickle.dumps(Probe())
    name = [*Probe.__module__.split("."), Probe.__qualname__]
    yield "json", json.dumps({"lc": 2, "type": "constructor", "id": name}).encode()


class EncryptedOnly(SerializerProtocol):
    """Reads what an encrypting serialiser has encrypted, and nothing else.

    Args:
        serde: the encrypting serialiser.
    """

    __slots__ = ("_serde",)

    def __init__(self, serde: EncryptedSerializer) -> None:
        self._serde = serde

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """See `SerializerProtocol`."""
        return self._serde.dumps_typed(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """See `SerializerProtocol`.

        Raises:
            NotEncrypted: the value has no cipher's tag.
        """
        if CIPHER_MARK not in data[0]:
            raise NotEncrypted(f"a value was stored as {data[0]!r}, without encryption")
        return self._serde.loads_typed(data)
