"""Values under serialisers of the user's own."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest
from langchain_core.messages import (
    HumanMessage,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.handles import handle_to
from ckptstore.langgraph.serialise import serialise, with_references
from ckptstore.values.digests import digest_of
from tests.support.build import config, put
from tests.support.serialisers import Pickling, encrypting
from tests.support.value_kinds import KINDS, Point
from tests.support.values import NOISE, SERDE, StoreAddress, read, same


class Lock:
    """What nothing but its own serialiser can write."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class OfLocks(Pickling):
    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        return ("lock", b"") if isinstance(obj, Lock) else super().dumps_typed(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        return Lock() if data[0] == "lock" else super().loads_typed(data)


def pickled(value: Any) -> Any:
    # numpy's own pickles change the order of bytes to the machine's.
    return pickle.loads(pickle.dumps(value))


async def test_a_serialiser_of_ones_own_gets_back_what_it_wrote(address: StoreAddress) -> None:
    values = {name: value for kind in ("plain", "types", "arrays") for name, value in KINDS[kind].items()} | {
        "tuple": (1, (2, b"x" * 70_000))
    }
    async with address.open(serde=Pickling()) as saver:
        where = await put(saver, config("t"), values)
        await saver.aput_writes(where, list(values.items()), "task")
    async with address.open(serde=Pickling()) as saver:
        found = await saver.aget_tuple(config("t"))
    assert found is not None
    channels = found.checkpoint["channel_values"]
    assert [name for name, value in values.items() if not same(channels[name], pickled(value))] == []
    assert [name for _, name, value in found.pending_writes or [] if not same(value, pickled(values[name]))] == []


async def test_what_only_a_serialiser_of_ones_own_can_write_is_stored(file_address: StoreAddress) -> None:
    async with file_address.open(serde=OfLocks()) as saver:
        await put(saver, config("t"), {"lock": Lock()})
        assert isinstance((await read(saver))["lock"], Lock)


@pytest.mark.parametrize("serde", [Pickling(), JsonPlusSerializer(pickle_fallback=True)], ids=["pickle", "fallback"])
async def test_a_value_that_holds_itself_is_stored_where_the_serialiser_can(file_address: StoreAddress, serde: Any) -> None:
    value: list[Any] = [b"x" * 70_000]
    value.append(value)
    async with file_address.open(serde=serde) as saver:
        await put(saver, config("t"), {"loop": value})
    async with file_address.open(serde=serde) as saver:
        found = (await read(saver))["loop"]
    assert found[0] == value[0]
    assert found[1] is found


async def test_an_upload_is_one_file_also_under_a_serialiser_of_ones_own(file_address: StoreAddress) -> None:
    upload = NOISE.randbytes(1_000_000)
    async with file_address.open(serde=Pickling()) as saver:
        await put(saver, config("t"), {"upload": upload, "files": {"upload": upload}})
        assert await read(saver) == {"upload": upload, "files": {"upload": upload}}
    assert len(file_address.files()) == 1


@pytest.mark.parametrize("serde", [SERDE, Pickling(), encrypting()], ids=["plain", "pickle", "encrypted"])
def test_the_handles_in_a_value_are_found_under_every_serialiser(serde: Any) -> None:
    handle = handle_to(digest_of(b"x"), 1, None)
    for value in (handle, [handle.id], {"deep": [(1, {"x": handle})]}, HumanMessage(f"see {handle.id}."), Point(1.0, handle.id)):
        assert with_references(serialise(serde, value, "channel"), value).blob_digests == [handle.digest]
    assert list(with_references(serialise(serde, ["nothing"], "channel"), ["nothing"]).blob_digests) == []
