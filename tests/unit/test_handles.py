"""Handles are found wherever they stand in serialised bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage, ToolMessage
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from ckptstore.handles import BlobRef, digests_in, handle_to
from ckptstore.values.digests import digest_of
from tests.support.serialised import SERIALISERS


@dataclass
class Page:
    document: BlobRef
    title: str


HANDLES = [handle_to(digest_of(bytes([n])), n, None if n % 2 else "application/pdf") for n in range(6)]


@pytest.mark.parametrize(
    "value",
    [
        HANDLES,
        [handle.id for handle in HANDLES],
        "".join(f"see {handle.id}{'' if n % 2 else 'a'}" for n, handle in enumerate(HANDLES)),
        {handle.id: n for n, handle in enumerate(HANDLES)},
        [Page(handle, "x" * 1_000) for handle in HANDLES],
        [
            HumanMessage(HANDLES[0].id, additional_kwargs={"files": HANDLES[1:3]}),
            ToolMessage("", artifact={"x": HANDLES[3:]}, tool_call_id="t"),
        ],
        {"deep": [{"er": tuple(HANDLES[:3])}, [[[[{"est": HANDLES[3:]}]]]]]},
        _DeltaSnapshot(HANDLES),
        HANDLES + HANDLES[::-1],
        "\n".join(handle.id for handle in HANDLES).encode(),
    ],
    ids=["handles", "ids", "text", "keys", "dataclass", "messages", "nested", "snapshot", "twice", "bytes"],
)
@pytest.mark.parametrize("serialiser", ["JsonPlusSerializer", "pickle"])
def test_handles_are_found_wherever_they_are_each_once(value: Any, serialiser: str) -> None:
    assert digests_in(SERIALISERS[serialiser](value)) == [handle.digest for handle in HANDLES]


@pytest.mark.parametrize("data", [b"", b"ckptblob:", b"ckptblob:" + b"g" * 64, b"ckptblob:" + b"a" * 63, b"CKPTBLOB:" + b"a" * 64])
def test_what_only_looks_like_a_handle_names_nothing(data: bytes) -> None:
    assert digests_in(data) == []


@given(st.lists(st.one_of(st.binary(max_size=80), st.integers(0, 5)), max_size=12))
def test_handles_between_any_bytes_are_found(parts: Sequence[bytes | int]) -> None:
    data = b"".join(HANDLES[part].id.encode() if isinstance(part, int) else part for part in parts)
    assert {HANDLES[part].digest for part in parts if isinstance(part, int)} <= set(digests_in(data))
