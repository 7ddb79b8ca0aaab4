"""A strict saver takes no serialiser that lets a stored value choose the class that is built."""

from __future__ import annotations

import logging

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig, NotEncrypted
from ckptstore.langgraph.trust import EncryptedOnly, Probe, strict_serialiser
from tests.support.serialisers import Pickling, encrypting

CIPHER = encrypting().cipher
PERMISSIVE: dict[str, SerializerProtocol] = {
    "any class": JsonPlusSerializer(allowed_msgpack_modules=True),
    "any class of JSON": JsonPlusSerializer(allowed_msgpack_modules=None, allowed_json_modules=True),
    "pickles": JsonPlusSerializer(allowed_msgpack_modules=None, pickle_fallback=True),
    "encrypted": EncryptedSerializer(CIPHER, JsonPlusSerializer(allowed_msgpack_modules=True)),
}


@pytest.mark.parametrize("serde", PERMISSIVE.values(), ids=PERMISSIVE)
def test_a_permissive_serialiser_is_refused(serde: SerializerProtocol) -> None:
    with pytest.raises(InvalidConfig, match=f"strict=True, but this {type(serde).__name__} builds"):
        SQLAlchemySaver.from_conn_string(":memory:", serde=serde, strict=True)


@pytest.mark.parametrize(
    "serde",
    [
        JsonPlusSerializer(allowed_msgpack_modules=None),
        JsonPlusSerializer(allowed_msgpack_modules=[("tests.support.graphs", "Pet")]),
        EncryptedSerializer(CIPHER, JsonPlusSerializer(allowed_msgpack_modules=None)),
    ],
    ids=["nothing", "some", "encrypted"],
)
def test_a_serialiser_with_an_allowlist_is_taken(serde: SerializerProtocol, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert strict_serialiser(serde) is serde
    assert not caplog.records


def test_without_a_serialiser_a_strict_saver_builds_what_langgraph_allows_and_nothing_else() -> None:
    serde = strict_serialiser(None)
    message = HumanMessage("hello", id="1")
    assert serde.loads_typed(serde.dumps_typed(message)) == message
    assert not isinstance(serde.loads_typed(JsonPlusSerializer().dumps_typed(Probe())), Probe)


def test_without_strict_every_serialiser_is_taken() -> None:
    for serde in (*PERMISSIVE.values(), Pickling()):
        SQLAlchemySaver.from_conn_string(":memory:", serde=serde).close()


def test_what_is_not_encrypted_is_not_even_decoded() -> None:
    serde = EncryptedOnly(encrypting())
    assert serde.loads_typed(serde.dumps_typed({"a": [1]})) == {"a": [1]}
    for value in ({"a": 1}, None, b"bytes"):
        with pytest.raises(NotEncrypted, match="without encryption"):
            serde.loads_typed(JsonPlusSerializer().dumps_typed(value))
