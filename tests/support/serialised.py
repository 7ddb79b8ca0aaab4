"""Values as serialisers write them, and strategies for bytes."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.values.chunking import BLOB_BYTES

SERDE = JsonPlusSerializer()


def serialised(value: Any) -> bytes:
    return SERDE.dumps_typed(value)[1]


INTERESTING_FIRST_BYTES = (0x80, 0x8F, 0x90, 0x9F, 0xC1, 0xC6, 0xC7, 0xC8, 0xC9, 0xD8, 0xDC, 0xDD, 0xDE, 0xDF)


@st.composite
def blocks(draw: st.DrawFn, most: int = 150_000) -> bytes:
    """Bytes of any length around the bounds, random or repeating, perhaps starting like a known format."""
    size = draw(st.one_of(st.integers(0, 2_000), st.sampled_from([0, 511, 512, 513, BLOB_BYTES - 1, BLOB_BYTES]), st.integers(0, most)))
    noise = random.Random(draw(st.integers(0, 2**32)))
    data = noise.randbytes(size) if draw(st.booleans()) else (noise.randbytes(7) * (size // 7 + 1))[:size]
    head = draw(st.one_of(st.just(b""), st.binary(max_size=12), st.sampled_from(INTERESTING_FIRST_BYTES).map(lambda first: bytes([first]))))
    return (head + data)[: max(size, len(head))]


SLOW = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def framed(value: Any) -> bytes:
    """Serialise with a custom format: a tag and a length before each value."""
    if isinstance(value, dict):
        return b"d%d:" % len(value) + b"".join(framed(key) + framed(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return b"l%d:" % len(value) + b"".join(map(framed, value))
    data = value.encode() if isinstance(value, str) else bytes(value)
    return b"b%d:" % len(data) + data


SERIALISERS: dict[str, Callable[[Any], bytes]] = {
    "JsonPlusSerializer": serialised,
    "pickle": pickle.dumps,
    "pickle 5": lambda value: pickle.dumps(value, protocol=5),
    "its own": framed,
}
