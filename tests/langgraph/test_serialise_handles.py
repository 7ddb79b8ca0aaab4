"""The bytes of a `BlobRef` in stored states: they outlive our modules' names."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.serde import jsonplus
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore import BlobRef, SQLAlchemySaver
from ckptstore.handles import BlobRef as BlobRefOfHandles
from tests.support.build import config, put

DIGEST = "ab" * 32
REF = BlobRef(f"ckptblob:{DIGEST}", 5, "text/plain")
FIELDS = b"\x83\xa2id\xd9Ickptblob:" + DIGEST.encode() + b"\xa4size\x05\xaamedia_type\xaatext/plain"

MSGPACK = b"\xc7\x7e\x02\x93\xa9ckptstore\xa7BlobRef" + FIELDS
MSGPACK_OF_0_1 = b"\xc7\x86\x02\x93\xb1ckptstore.handles\xa7BlobRef" + FIELDS

_STATE = b")\x81\x94]\x94(\x8cIckptblob:" + DIGEST.encode() + b"\x94K\x05\x8c\ntext/plain\x94eb."
PICKLE = b"\x80\x04\x95\x7c\x00\x00\x00\x00\x00\x00\x00\x8c\tckptstore\x94\x8c\x07BlobRef\x94\x93\x94" + _STATE
PICKLE_OF_0_1 = b"\x80\x04\x95\x84\x00\x00\x00\x00\x00\x00\x00\x8c\x11ckptstore.handles\x94\x8c\x07BlobRef\x94\x93\x94" + _STATE


def as_json(*module: str) -> bytes:
    """The form that LangGraph wrote before msgpack, and still reads."""
    fields = {"id": REF.id, "size": 5, "media_type": "text/plain"}
    return json.dumps({"lc": 2, "type": "constructor", "id": [*module, "BlobRef"], "kwargs": fields}).encode()


def test_a_handle_is_stored_under_its_public_name() -> None:
    assert (BlobRef.__module__, BlobRef.__qualname__) == ("ckptstore", "BlobRef")
    assert BlobRefOfHandles is BlobRef
    assert JsonPlusSerializer().dumps_typed(REF) == ("msgpack", MSGPACK)
    assert pickle.dumps(REF, protocol=4) == PICKLE


class Unknown:
    """Msgpack has no form for it: LangGraph pickles the whole value."""


def test_the_pickle_fallback_stores_the_public_name_too() -> None:
    serde = JsonPlusSerializer(pickle_fallback=True)
    type_, data = serde.dumps_typed([REF, Unknown()])
    assert type_ == "pickle"
    assert b"ckptstore\x94\x8c\x07BlobRef" in data
    assert serde.loads_typed((type_, data))[0] == REF


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("data", [MSGPACK, MSGPACK_OF_0_1], ids=["this release", "release 0.1"])
def test_a_stored_handle_loads_without_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, strict: bool, data: bytes
) -> None:
    # LangGraph warns once in a process about each type.
    monkeypatch.setattr(jsonplus, "_warned_unregistered_types", set())
    monkeypatch.setattr(jsonplus, "_warned_blocked_types", set())
    serde = JsonPlusSerializer(allowed_msgpack_modules=None if strict else True)
    with SQLAlchemySaver.from_conn_string(":memory:", serde=serde) as saver, caplog.at_level(logging.DEBUG):
        assert saver.serde.loads_typed(("msgpack", data)) == REF
        # LangGraph derives another allowlist from a graph's state, and clones the saver with it.
        assert saver.with_allowlist([("elsewhere", "Thing")]).serde.loads_typed(("msgpack", data)) == REF
    assert "BlobRef" not in caplog.text


@pytest.mark.parametrize("module", [("ckptstore",), ("ckptstore", "handles")])
def test_a_handle_in_json_or_pickle_loads(module: tuple[str, ...]) -> None:
    serde = JsonPlusSerializer(allowed_json_modules=[(*module, "BlobRef")], pickle_fallback=True)
    assert serde.loads_typed(("json", as_json(*module))) == REF
    assert serde.loads_typed(("pickle", PICKLE if module == ("ckptstore",) else PICKLE_OF_0_1)) == REF


class OldSerializer(JsonPlusSerializer):
    """Writes handles as release 0.1 did."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        return ("msgpack", MSGPACK_OF_0_1) if obj == REF else super().dumps_typed(obj)


async def test_a_state_of_release_0_1_loads(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "c.sqlite"
    async with SQLAlchemySaver.from_conn_string(path, serde=OldSerializer()) as saver:
        stored = await put(saver, config("t"), {"document": REF})
    async with SQLAlchemySaver.from_conn_string(path) as saver:
        found = await saver.aget_tuple(stored)
    assert found is not None
    assert found.checkpoint["channel_values"]["document"] == REF
    assert "BlobRef" not in caplog.text
