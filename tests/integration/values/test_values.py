"""Values on their way through a real saver: they come back as they were, nothing is stored twice, and no secret is left in plain sight."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from ckptstore import SizeLimits
from ckptstore.blobs.settings import BlobSettings
from ckptstore.records import Value
from ckptstore.values.chunking import chunk_value
from tests.support.build import checkpoint, config, metadata, put
from tests.support.value_kinds import KINDS, Level, Mood, Point, expected
from tests.support.values import NOISE, SERDE, StoreAddress, read, same, stored_bytes

# --- every kind of value


@pytest.mark.parametrize("kind", KINDS)
async def test_every_value_comes_back_equal_and_of_its_own_type(address: StoreAddress, kind: str) -> None:
    values = KINDS[kind]
    async with address.open() as saver:
        where = await put(saver, config("t"), values)
        await saver.aput_writes(where, list(values.items()), "task")
    async with address.open() as saver:
        found = await saver.aget_tuple(config("t"))
    assert found is not None
    channels = found.checkpoint["channel_values"]
    writes = {channel: value for _, channel, value in found.pending_writes or []}
    assert channels.keys() == writes.keys() == values.keys()
    unlike = [
        name for name, value in values.items() if not same(channels[name], expected(value)) or not same(writes[name], expected(value))
    ]
    assert unlike == []
    if kind != "changed by the serialiser":
        assert [name for name, value in values.items() if not same(channels[name], value)] == []


async def test_every_value_comes_back_from_a_channel_without_a_version(address: StoreAddress) -> None:
    values = {name: value for kind in ("plain", "types", "arrays") for name, value in KINDS[kind].items()}
    async with address.open() as saver:
        made = checkpoint(values, {})
        await saver.aput(config("t"), made, metadata(), {})
    async with address.open() as saver:
        found = await read(saver)
    assert [name for name, value in values.items() if not same(found[name], value)] == []


async def test_a_file_of_a_hundred_megabytes_comes_back(file_address: StoreAddress) -> None:
    value = NOISE.randbytes(1_000_000) * 100
    async with file_address.open() as saver:
        await put(saver, config("t"), {"upload": value})
    async with file_address.open() as saver:
        found = await read(saver)
    assert found["upload"] == value


async def test_a_list_of_twenty_megabytes_comes_back_and_takes_another_line(file_address: StoreAddress) -> None:
    lines = [NOISE.randbytes(500).hex() for _ in range(20_000)]
    async with file_address.open(limits=SizeLimits(max_checkpoint_bytes=None)) as saver:
        where = await put(saver, config("t"), {"lines": lines})
        before = stored_bytes(saver)
        made = checkpoint({"lines": [*lines, "one more"]}, {"lines": "2"})
        await saver.aput(where, made, metadata(1), {"lines": "2"})
        assert stored_bytes(saver) - before < 200_000
    async with file_address.open() as saver:
        assert (await read(saver))["lines"] == [*lines, "one more"]
        assert (await read(saver, where))["lines"] == lines


@pytest.mark.parametrize("wrap", [lambda lines: lines, _DeltaSnapshot, lambda lines: {"lines": lines}], ids=["list", "snapshot", "dict"])
async def test_every_version_of_a_list_that_grows_shrinks_and_changes_is_read_as_it_was(
    address: StoreAddress, wrap: Callable[[Any], Any]
) -> None:
    noise, where = random.Random(7), config("t")
    lines: list[Any] = []
    versions: list[Any] = []
    async with address.open() as saver:
        for step in range(30):
            change = noise.choice(["grow", "grow", "grow", "shrink", "edit", "insert", "large", "same"]) if step > 3 else "grow"
            at = noise.randrange(len(lines) + 1)
            if change == "grow":
                lines += [noise.randbytes(noise.randrange(1_500)).hex() for _ in range(noise.randrange(40))]
            elif change == "shrink":
                del lines[at:]
            elif change == "edit":
                lines[at : at + 3] = ["edited", noise.randbytes(2_000)]
            elif change == "insert":
                lines.insert(at, {"inserted": step})
            elif change == "large":
                lines.insert(at, noise.randbytes(noise.randrange(60_000, 80_000)))
            made = checkpoint({"lines": wrap(list(lines))}, {"lines": f"{step:04}"})
            where = await saver.aput(where, made, metadata(step), {"lines": f"{step:04}"})
            versions.append((where, wrap(list(lines))))
    async with address.open() as saver:
        assert [step for step, (where, value) in enumerate(versions) if not same((await read(saver, where))["lines"], value)] == []
        listed = [found.checkpoint["channel_values"]["lines"] for found in await saver.alist(config("t"))]
    assert same(listed, [value for _, value in reversed(versions)])


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.integers(60_000, 70_000).map(lambda size: random.Random(size).randbytes(size)),
    st.integers(1, 70_000).map(lambda size: "\0x" * size),
    st.datetimes(timezones=st.just(UTC)),
    st.uuids(),
    st.decimals(allow_nan=False),
    st.sampled_from([Mood.CALM, Level.LOW, Point(1.0)]),
)
STATES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=8),
        st.dictionaries(st.text(max_size=5), inner, max_size=5),
        st.lists(inner, max_size=4).map(lambda items: items * 9),
    ),
    max_leaves=15,
)


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_any_state_comes_back(file_address: StoreAddress) -> None:
    unlimited = SizeLimits(max_checkpoint_bytes=None)
    with file_address.open(limits=unlimited) as saver, file_address.open(blob_settings=BlobSettings(cache_bytes=0)) as reader:

        @settings(max_examples=25, deadline=None, suppress_health_check=[*HealthCheck])
        @given(st.dictionaries(st.sampled_from("abc"), STATES, min_size=1))
        def check(values: dict[str, Any]) -> None:
            made = checkpoint(values)
            where = saver.put(config("t"), made, metadata(), made["channel_versions"])
            saver.put_writes(where, list(values.items()), "task")
            found = reader.get_tuple(config("t"))
            assert found is not None
            assert same(found.checkpoint["channel_values"], expected(values))
            assert same([value for _, _, value in found.pending_writes or []], expected(list(values.values())))

        check()


@pytest.mark.parametrize("first", ["lines", "upload"])
async def test_an_upload_that_reads_like_a_list_of_segments_comes_back(address: StoreAddress, first: str) -> None:
    lines = [random.Random(n).randbytes(size).hex() for n in range(20) for size in (300, 2_050)]
    (listing, *_) = sorted((listing for listing, _ in chunk_value(Value(*SERDE.dumps_typed(lines))).lists.values()), key=len, reverse=True)
    assert len(listing) >= 64
    values: dict[str, Any] = {"lines": lines, "upload": listing}
    where = config("t")
    async with address.open() as saver:
        for name in sorted(values, key=lambda name: name != first):
            made = checkpoint({name: values[name]}, {name: "1"})
            where = await saver.aput(where, made, metadata(), {name: "1"})
            values[f"where {name}"] = where
    async with address.open() as saver:
        for name in ("lines", "upload"):
            assert (await read(saver, values[f"where {name}"]))[name] == values[name]
