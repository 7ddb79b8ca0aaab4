"""LangGraph's serialiser, at a cost that follows what is new."""

from __future__ import annotations

from typing import Any, NamedTuple

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.langgraph.serialiser.reading import MessageReader
from ckptstore.langgraph.serialiser.writing import MessageWriter

#: Memory of what is known of messages, in a process: half of it for writing, half for reading. With `known_runs` that makes 64 MiB.
MAX_BYTES = 48 * 1024 * 1024

_writer = MessageWriter(MAX_BYTES // 2)
_reader = MessageReader(MAX_BYTES // 2)


class ReusingSerialiser(NamedTuple):
    """Writes the bytes and reads the values of a `JsonPlusSerializer`, and reuses what it knows of messages. It holds no user's object."""

    serde: JsonPlusSerializer

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """See `SerializerProtocol`."""
        try:
            data = _writer.dump(obj, self._pack)
        except Exception:
            # It can't be serialised to msgpack. The serialiser itself raises, or finds another form.
            data = None
        return ("msgpack", data) if data is not None else self.serde.dumps_typed(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """See `SerializerProtocol`."""
        if data[0] == "msgpack":
            try:
                value = _reader.load(data[1], self._unpack)
            except Exception:
                # The data is damaged, or no part of it can be read by itself. The serialiser itself raises, or reads the whole.
                value = None
            if value is not None:
                return value
        return self.serde.loads_typed(data)

    def _pack(self, value: Any) -> bytes:
        type_, data = self.serde.dumps_typed(value)
        if type_ != "msgpack":
            raise ValueError(f"a part of the value is serialised as {type_}")
        return data

    def _unpack(self, data: bytes) -> Any:
        return self.serde.loads_typed(("msgpack", data))


def reusing(serde: SerializerProtocol) -> SerializerProtocol:
    """The serialiser with reuse, if it is LangGraph's own and nothing in it was replaced; else the serialiser itself."""
    if type(serde) is not JsonPlusSerializer or "dumps_typed" in (own := vars(serde)) or "loads_typed" in own:
        return serde
    # A caller's own hook decides what is built of each element.
    return ReusingSerialiser(serde) if serde._unpack_ext_hook.__module__ == JsonPlusSerializer.__module__ else serde
