"""Serialisers other than LangGraph's."""

from __future__ import annotations

import pickle
from typing import Any

from langgraph.checkpoint.serde.encrypted import EncryptedSerializer


class Pickling:
    """A custom serialiser, which pickles."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        return "pickled", pickle.dumps(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        assert data[0] == "pickled"
        return pickle.loads(data[1])


def encrypting() -> EncryptedSerializer:
    return EncryptedSerializer.from_pycryptodome_aes(key=b"0123456789abcdef")
