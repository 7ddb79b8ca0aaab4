"""Values go from one serialiser to another without being built, and nothing is taken twice."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.errors import InvalidConfig, NotEncrypted, SerializationFailed
from ckptstore.langgraph.recode import Recoder
from ckptstore.records import Value
from tests.support.serialisers import Pickling

PLAIN = JsonPlusSerializer()


def aes(letter: str) -> EncryptedSerializer:
    return EncryptedSerializer.from_pycryptodome_aes(key=letter.encode() * 16)


SERIALISERS: dict[str, SerializerProtocol] = {"plain": PLAIN, "a": aes("a"), "b": aes("b"), "pickling": Pickling()}
VALUES: list[Any] = [None, b"bytes", bytearray(b"b"), "text", {"a": [1, 2.5, {"b": None}]}]


@pytest.mark.parametrize("old", SERIALISERS)
@pytest.mark.parametrize("new", SERIALISERS)
def test_every_value_is_the_same_under_the_new_serialiser(old: str, new: str) -> None:
    if old == new:
        with pytest.raises(InvalidConfig, match="same key"):
            Recoder(SERIALISERS[old], SERIALISERS[new])
        return
    recoder = Recoder(SERIALISERS[old], SERIALISERS[new])
    for value in VALUES:
        stored = Value(*SERIALISERS[old].dumps_typed(value))
        recoded = recoder.value(stored, "c")
        assert recoded is not None
        assert SERIALISERS[new].loads_typed((recoded.type, recoded.data)) == value
        assert recoder.value(recoded, "c") is None


def test_no_object_is_built_between_langgraphs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    recoder = Recoder(aes("a"), aes("b"))
    stored = Value(*aes("a").dumps_typed({"a": 1}))
    monkeypatch.setattr(JsonPlusSerializer, "loads_typed", None)
    assert recoder.value(stored, "c") is not None


def test_a_body_takes_its_inner_values_along() -> None:
    old, new = aes("a"), aes("b")
    inner = {"text": old.dumps_typed("within"), "done": new.dumps_typed("already")}
    recoded = Recoder(old, new).body(Value(*old.dumps_typed({"ts": "now", "channel_values": inner})))
    assert recoded is not None
    body = new.loads_typed((recoded.type, recoded.data))
    assert body["ts"] == "now"
    assert {name: new.loads_typed(tuple(value)) for name, value in body["channel_values"].items()} == {"text": "within", "done": "already"}


def test_a_key_that_neither_knows_and_a_value_that_is_plain_are_reported() -> None:
    recoder = Recoder(aes("a"), aes("b"))
    with pytest.raises(SerializationFailed, match=r"channel 'c' was stored as 'msgpack.aes'.*neither"):
        recoder.value(Value(*aes("c").dumps_typed("x")), "c")
    plain = Value(*PLAIN.dumps_typed("x"))
    with pytest.raises(NotEncrypted, match="--allow-plain"):
        recoder.value(plain, "c")
    recoded = Recoder(aes("a"), aes("b"), allow_plain=True).value(plain, "c")
    assert recoded is not None
    assert aes("b").loads_typed((recoded.type, recoded.data)) == "x"
