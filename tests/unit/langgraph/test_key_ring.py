"""While a store goes from one key to the next, both are read and only the newest writes."""

from __future__ import annotations

import pytest
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from ckptstore import key_ring


def aes(letter: str) -> EncryptedSerializer:
    return EncryptedSerializer.from_pycryptodome_aes(key=letter.encode() * 16)


def test_the_newest_key_writes_and_every_key_reads() -> None:
    ring = key_ring(aes("c"), aes("b"), aes("a"))
    for letter in "abc":
        assert ring.loads_typed(aes(letter).dumps_typed({"key": letter})) == {"key": letter}
    assert aes("c").loads_typed(ring.dumps_typed("new")) == "new"


def test_another_key_is_refused() -> None:
    with pytest.raises(ValueError, match="MAC"):
        key_ring(aes("b"), aes("a")).loads_typed(aes("z").dumps_typed("x"))
