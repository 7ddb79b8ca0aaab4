"""Values on their way through a real saver: they come back as they were, nothing is stored twice, and no secret is left in plain sight."""

from __future__ import annotations

import asyncio
import pickle
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.graph import START, StateGraph
from pydantic import BaseModel
from sqlalchemy import func, select
from typing_extensions import TypedDict

from ckptstore import SizeLimits, SQLAlchemySaver
from ckptstore.blobs.settings import BlobSettings
from ckptstore.db.models import Base, Channel, Segment
from ckptstore.errors import SerializationFailed
from ckptstore.handles import handle_to
from ckptstore.langgraph.serialise import serialise, with_references
from ckptstore.records import Value
from ckptstore.values.chunking import chunk_value, join_segments
from ckptstore.values.compression import decompress_segment
from ckptstore.values.digests import digest_of
from ckptstore.writes.entry import State
from tests.support.build import checkpoint, config, metadata, put
from tests.support.databases import url_of

SERDE = JsonPlusSerializer()
NOISE = random.Random(7)
MIB = 1024 * 1024
WAIT_SECONDS = 50


@dataclass(frozen=True)
class Place:
    """A database, and where its blobs go."""

    url: str
    blob_url: str | None

    def open(self, **more: Any) -> SQLAlchemySaver:
        return SQLAlchemySaver.from_conn_string(self.url, blob_url=self.blob_url, **more)

    @property
    def folder(self) -> Path:
        return Path(self.blob_url or f"{self.url}.blobs")

    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]


@pytest.fixture(params=["sqlite", "asyncpg", "asyncpg with a folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """SQLite with its folder beside it, PostgreSQL with everything inside, PostgreSQL with a folder."""
    database, _, folder = request.param.partition(" ")
    return Place(url_of(database, request, tmp_path), str(tmp_path / "blobs") if folder else None)


@pytest.fixture(params=["sqlite", "asyncpg with a folder"])
def blob_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """As `place`, where blobs go to a folder."""
    database, _, folder = request.param.partition(" ")
    return Place(url_of(database, request, tmp_path), str(tmp_path / "blobs") if folder else None)


@pytest.fixture
def file_place(tmp_path: Path) -> Place:
    return Place(str(tmp_path / "checkpoints.sqlite"), None)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple, deque)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, _DeltaSnapshot):
        return same(one.value, other.value)
    if isinstance(one, float):
        return repr(one) == repr(other)
    if isinstance(one, datetime):
        return one == other and one.utcoffset() == other.utcoffset()
    return bool(one == other)


async def read(saver: SQLAlchemySaver, where: Any = None) -> dict[str, Any]:
    found = await saver.aget_tuple(where or config("t"))
    assert found is not None
    return dict(found.checkpoint["channel_values"])


# --- every kind of value


class Mood(Enum):
    CALM = "calm"
    WILD = 2


class Level(IntEnum):
    LOW = 1


@dataclass
class Point:
    x: float
    label: str = ""
    more: list[Any] = field(default_factory=list)


class Pet(BaseModel):
    name: str
    mood: Mood = Mood.CALM
    born: datetime = datetime(2020, 2, 29, tzinfo=UTC)
    picture: bytes = b""


CALL = {"name": "look", "args": {"deep": [1, 2.5, None]}, "id": "call", "type": "tool_call"}
USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
MESSAGES = [
    HumanMessage([{"type": "text", "text": "\N{DOG FACE} \0"}, {"type": "image_url", "image_url": {"url": "data:,"}}], id="h"),
    AIMessage("I'll look.", id="a", tool_calls=[CALL], usage_metadata=USAGE, response_metadata={"model": "none"}),
    AIMessage("", invalid_tool_calls=[{"name": "x", "args": "{", "id": "i", "error": "no", "type": "invalid_tool_call"}]),
    SystemMessage("Be brief.", id="s", additional_kwargs={"why": "so"}),
    ToolMessage("A dog.", tool_call_id="call", artifact={"picture": b"\x00\xff" * 50_000}, status="error"),
    FunctionMessage("42", name="answer"),
    ChatMessage("hm", role="critic"),
    RemoveMessage(id="gone"),
    AIMessageChunk("part", tool_call_chunks=[{"name": "look", "args": '{"a', "id": "c", "index": 0, "type": "tool_call_chunk"}]),
    HumanMessageChunk("part"),
    SystemMessageChunk("part"),
    ToolMessageChunk("part", tool_call_id="call"),
    FunctionMessageChunk("part", name="answer"),
]

KINDS: dict[str, dict[str, Any]] = {
    "messages": {type(message).__name__ + str(n): message for n, message in enumerate(MESSAGES)} | {"all": MESSAGES, "many": MESSAGES * 50},
    "plain": {
        "none": None,
        "true": True,
        "false": False,
        "zero": 0,
        "zero float": 0.0,
        "negative zero": -0.0,
        "infinite": float("inf"),
        "not a number": float("nan"),
        "large": 2**64 - 1,
        "small": -(2**63),
        "empty text": "",
        "empty list": [],
        "empty dict": {},
        "empty bytes": b"",
        "empty bytearray": bytearray(),
        "bytes": b"\0\xff",
        "bytearray": bytearray(b"\0\xff" * 400),
        "large bytearray": bytearray(NOISE.randbytes(200_000)),
        "text": "a\0b \N{SNOWMAN} \U0010ffff ' \" % \\ {}",
        "nul": "\0",
        "long text": "\0\N{SNOWMAN}" * 100_000,
        "keys": {"": 1, "a.b": {"c": [True, 1, 1.0]}, "\0": 2, 7: "seven"},
        "nested": {
            "files": {"a": NOISE.randbytes(70_000), "b": [NOISE.randbytes(65_536), {"c": NOISE.randbytes(65_535)}], "d": b"x" * 99_999}
        },
        "equal bytes": [b"y" * 70_000, {"y": b"y" * 70_000}, b"y" * 70_000],
        "zeros": [bytes(65_536 + n) for n in range(5)],
        "deep": [[[[[[[[{"a": [{"b": []}]}]]]]]]]],
        "lines": [f"line {n}" for n in range(20_000)],
        "numbers": list(range(-5_000, 5_000)),
    },
    "types": {
        "set": {1, 2},
        "frozenset": frozenset({"a"}),
        "deque": deque([1, 2], maxlen=None),
        "decimal": Decimal("1.10"),
        "uuid": UUID(int=7),
        "date": date(2020, 2, 29),
        "time": time(1, 2, 3, 4),
        "timedelta": timedelta(days=-1, microseconds=1),
        "ip": IPv4Address("127.0.0.1"),
        "naive": datetime(2020, 1, 1, 1, 2, 3, 4),
        "utc": datetime(2020, 1, 1, tzinfo=UTC),
        "path": Path("a/b"),
        "offset": datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
        "zone": ZoneInfo("Europe/Berlin"),
        "zoned": datetime(2020, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")),
        "enum": Mood.WILD,
        "int enum": Level.LOW,
        "dataclass": Point(0.5, "x", [b"y"]),
        "large dataclass": Point(1.5, "x" * 70_000, [NOISE.randbytes(70_000)]),
        "model": Pet(name="Rex", mood=Mood.WILD),
        "models": [Pet(name=f"pet {n}") for n in range(500)],
        "large model": Pet(name="Rex", picture=NOISE.randbytes(90_000)),
        "small snapshot": _DeltaSnapshot(["a", 1]),
        "snapshot of nothing": _DeltaSnapshot([]),
        "snapshot of messages": _DeltaSnapshot((MESSAGES * 20)[:200]),
        "handle": handle_to(digest_of(b"x"), 1, "text/plain"),
    },
    "arrays": {
        **{
            f"of {dtype}": (np.arange(24) % 2).astype(dtype).reshape(2, 3, 4)
            for dtype in ("?", "i1", "u2", "<i4", ">i4", "i8", "f2", "f4", "f8", "c8")
        },
        "of bytes": np.array([b"a", b"bc"]),
        "of text": np.array(["a", "\N{SNOWMAN}"]),
        "columns first": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "every other": np.arange(100)[::2],
        "backwards": np.arange(100)[::-1],
        "of no dimension": np.array(3.5),
        "empty": np.zeros((0, 3)),
        "large": np.random.default_rng(7).random((100, 200)),
        "large columns first": np.asfortranarray(np.random.default_rng(8).random((100, 200))),
        "in a dict": {"a": np.arange(40_000), "b": [np.arange(3, dtype="f4")]},
    },
    # What LangGraph's serialiser itself changes comes back as it makes it.
    "changed by the serialiser": {
        "tuple": (1, (2, "x")),
        "tuples": [(n, "x" * n) for n in range(300)],
        "surrogate": "a\ud800b",
        "view": memoryview(b"x" * 70_000),
    },
}


def expected(value: Any) -> Any:
    return SERDE.loads_typed(SERDE.dumps_typed(value))


@pytest.mark.parametrize("kind", KINDS)
async def test_every_value_comes_back_equal_and_of_its_own_type(place: Place, kind: str) -> None:
    values = KINDS[kind]
    async with place.open() as saver:
        where = await put(saver, config("t"), values)
        await saver.aput_writes(where, list(values.items()), "task")
    async with place.open() as saver:
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


async def test_every_value_comes_back_from_a_channel_without_a_version(place: Place) -> None:
    values = {name: value for kind in ("plain", "types", "arrays") for name, value in KINDS[kind].items()}
    async with place.open() as saver:
        made = checkpoint(values, {})
        await saver.aput(config("t"), made, metadata(), {})
    async with place.open() as saver:
        found = await read(saver)
    assert [name for name, value in values.items() if not same(found[name], value)] == []


async def test_a_file_of_a_hundred_megabytes_comes_back(file_place: Place) -> None:
    value = NOISE.randbytes(1_000_000) * 100
    async with file_place.open() as saver:
        await put(saver, config("t"), {"upload": value})
    async with file_place.open() as saver:
        found = await read(saver)
    assert found["upload"] == value


async def test_a_list_of_twenty_megabytes_comes_back_and_takes_another_line(file_place: Place) -> None:
    lines = [NOISE.randbytes(500).hex() for _ in range(20_000)]
    async with file_place.open(limits=SizeLimits(max_checkpoint_bytes=None)) as saver:
        where = await put(saver, config("t"), {"lines": lines})
        before = stored_bytes(saver)
        made = checkpoint({"lines": [*lines, "one more"]}, {"lines": "2"})
        await saver.aput(where, made, metadata(1), {"lines": "2"})
        assert stored_bytes(saver) - before < 200_000
    async with file_place.open() as saver:
        assert (await read(saver))["lines"] == [*lines, "one more"]
        assert (await read(saver, where))["lines"] == lines


@pytest.mark.parametrize("wrap", [lambda lines: lines, _DeltaSnapshot, lambda lines: {"lines": lines}], ids=["list", "snapshot", "dict"])
async def test_every_version_of_a_list_that_grows_shrinks_and_changes_is_read_as_it_was(place: Place, wrap: Callable[[Any], Any]) -> None:
    noise, lines, versions, where = random.Random(7), [], [], config("t")
    async with place.open() as saver:
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
    async with place.open() as saver:
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
def test_any_state_comes_back(file_place: Place) -> None:
    unlimited = SizeLimits(max_checkpoint_bytes=None)
    with file_place.open(limits=unlimited) as saver, file_place.open(blob_settings=BlobSettings(cache_bytes=0)) as reader:

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
async def test_an_upload_that_reads_like_a_list_of_segments_comes_back(place: Place, first: str) -> None:
    lines = [random.Random(n).randbytes(size).hex() for n in range(20) for size in (300, 2_050)]
    (listing, *_) = sorted((listing for listing, _ in chunk_value(Value(*SERDE.dumps_typed(lines))).lists.values()), key=len, reverse=True)
    assert len(listing) >= 64
    values = {"lines": lines, "upload": listing}
    where = config("t")
    async with place.open() as saver:
        for name in sorted(values, key=lambda name: name != first):
            made = checkpoint({name: values[name]}, {name: "1"})
            where = await saver.aput(where, made, metadata(), {name: "1"})
            values[f"where {name}"] = where
    async with place.open() as saver:
        for name in ("lines", "upload"):
            assert (await read(saver, values[f"where {name}"]))[name] == values[name]


# --- other serialisers


class Pickling:
    """A serialiser of somebody's own."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        return "pickled", pickle.dumps(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        assert data[0] == "pickled"
        return pickle.loads(data[1])


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


async def test_a_serialiser_of_ones_own_gets_back_what_it_wrote(place: Place) -> None:
    values = {name: value for kind in ("plain", "types", "arrays") for name, value in KINDS[kind].items()} | {
        "tuple": (1, (2, b"x" * 70_000))
    }
    async with place.open(serde=Pickling()) as saver:
        where = await put(saver, config("t"), values)
        await saver.aput_writes(where, list(values.items()), "task")
    async with place.open(serde=Pickling()) as saver:
        found = await saver.aget_tuple(config("t"))
    assert found is not None
    channels = found.checkpoint["channel_values"]
    assert [name for name, value in values.items() if not same(channels[name], pickled(value))] == []
    assert [name for _, name, value in found.pending_writes or [] if not same(value, pickled(values[name]))] == []


async def test_what_only_a_serialiser_of_ones_own_can_write_is_stored(file_place: Place) -> None:
    async with file_place.open(serde=OfLocks()) as saver:
        await put(saver, config("t"), {"lock": Lock()})
        assert isinstance((await read(saver))["lock"], Lock)


@pytest.mark.parametrize("serde", [Pickling(), JsonPlusSerializer(pickle_fallback=True)], ids=["pickle", "fallback"])
async def test_a_value_that_holds_itself_is_stored_where_the_serialiser_can(file_place: Place, serde: Any) -> None:
    value: list[Any] = [b"x" * 70_000]
    value.append(value)
    async with file_place.open(serde=serde) as saver:
        await put(saver, config("t"), {"loop": value})
    async with file_place.open(serde=serde) as saver:
        found = (await read(saver))["loop"]
    assert found[0] == value[0]
    assert found[1] is found


async def test_an_upload_is_one_file_also_under_a_serialiser_of_ones_own(file_place: Place) -> None:
    upload = NOISE.randbytes(1_000_000)
    async with file_place.open(serde=Pickling()) as saver:
        await put(saver, config("t"), {"upload": upload, "files": {"upload": upload}})
        assert await read(saver) == {"upload": upload, "files": {"upload": upload}}
    assert len(file_place.files()) == 1


# --- encryption

TEXT_MARKER = "correct-horse-battery-staple"
DIGITS_MARKER = "4815162342481516234248"
BYTES_MARKER = b"\x00\xfeMARK\xff\x00\x80end"
NUMBER_MARKER = 0x4D41524B5A5A5A4B
MARKERS = {
    "text": TEXT_MARKER.encode(),
    "digits": DIGITS_MARKER.encode(),
    "bytes": BYTES_MARKER,
    "number": NUMBER_MARKER.to_bytes(8, "big"),
}
MARKED = NOISE.randbytes(50_000) + b"".join(MARKERS.values()) + NOISE.randbytes(50_000)


def encrypting() -> EncryptedSerializer:
    return EncryptedSerializer.from_pycryptodome_aes(key=b"0123456789abcdef")


def rows(saver: SQLAlchemySaver) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of every table."""
    for name, table in Base.metadata.tables.items():
        found = saver.store.runner.read(lambda db, table=table: db.connection.execute(select(table)).mappings().all()).result()
        yield from ((name, dict(row)) for row in found)


def everything_stored(saver: SQLAlchemySaver, place: Place) -> bytes:
    """What can be read in tables and files, but for metadata and tags; compressed bytes also as they were before."""
    kept: list[bytes] = []
    for table, row in rows(saver):
        if table == "ckpt_tag":
            continue
        kept += [item if isinstance(item, bytes) else str(item).encode() for name, item in row.items() if name != "metadata"]
        if row.get("data") is not None:
            kept.append(decompress_segment(row["digest"], row["size"], row["encoding"], row["data"]))
        if row.get("layout") and isinstance(row["layout"][0], int) and row["layout"][0] < 0:
            kept.append(join_segments(row["value"], [row["layout"][0], -row["layout"][0]], {}))
    for path in place.files():
        data = path.read_bytes()
        kept.append(data)
        if data.startswith(zstandard.FRAME_HEADER):
            kept.append(zstandard.ZstdDecompressor().decompress(data))
    if "://" not in place.url:
        kept += [path.read_bytes() for path in Path(place.url).parent.iterdir() if path.is_file()]
    return b"\n".join(kept)


async def store_markers(saver: SQLAlchemySaver) -> dict[str, Any]:
    values = {
        "text": TEXT_MARKER,
        "digits": DIGITS_MARKER,
        "number": NUMBER_MARKER,
        "bytes": BYTES_MARKER,
        "marked": MARKED,
        "array": bytearray(MARKED),
        "messages": [HumanMessage(TEXT_MARKER, additional_kwargs={"d": DIGITS_MARKER}), AIMessage(TEXT_MARKER * 3_000)],
        "long": TEXT_MARKER * 10_000,
        "files": {"a": MARKED, "b": [{"c": MARKED[::-1] + TEXT_MARKER.encode()}]},
        "lines": [f"{TEXT_MARKER} {n}" for n in range(5_000)],
        "snapshot": _DeltaSnapshot([TEXT_MARKER] * 5_000),
        "keys": {TEXT_MARKER: DIGITS_MARKER},
        "model": Pet(name=TEXT_MARKER, picture=MARKED),
    }
    loose = {f"loose {name}": value for name, value in values.items()}
    made = checkpoint(values | loose, dict.fromkeys(values, "1"))
    where = await saver.aput(config("t"), made, metadata(), dict.fromkeys(values, "1"))
    await saver.aput_writes(
        where, [*values.items(), ("__error__", TEXT_MARKER), ("__interrupt__", [TEXT_MARKER]), ("__resume__", DIGITS_MARKER)], "task"
    )
    return values | loose


async def test_under_encryption_everything_comes_back_and_nothing_is_in_plain_sight(place: Place) -> None:
    async with place.open(serde=encrypting()) as saver:
        values = await store_markers(saver)
    async with place.open(serde=encrypting()) as saver:
        found = await read(saver)
        assert found.keys() == values.keys()
        assert [name for name, value in values.items() if not same(found[name], value)] == []
        kept = everything_stored(saver, place)
    assert [name for name, marker in MARKERS.items() if marker in kept] == []


async def test_without_encryption_the_same_search_finds_every_marker(place: Place) -> None:
    async with place.open() as saver:
        await store_markers(saver)
        kept = everything_stored(saver, place)
    assert [name for name, marker in MARKERS.items() if marker not in kept] == []


@pytest.mark.parametrize("kind", ["plain", "types", "arrays", "messages"])
async def test_every_value_comes_back_under_encryption(file_place: Place, kind: str) -> None:
    async with file_place.open(serde=encrypting()) as saver:
        await put(saver, config("t"), KINDS[kind])
    async with file_place.open(serde=encrypting()) as saver:
        found = await read(saver)
    assert [name for name, value in KINDS[kind].items() if not same(found[name], value)] == []


@pytest.mark.parametrize("serde", [SERDE, Pickling(), encrypting()], ids=["plain", "pickle", "encrypted"])
def test_the_handles_in_a_value_are_found_under_every_serialiser(serde: Any) -> None:
    handle = handle_to(digest_of(b"x"), 1, None)
    for value in (handle, [handle.id], {"deep": [(1, {"x": handle})]}, HumanMessage(f"see {handle.id}."), Point(1.0, handle.id)):
        assert with_references(serialise(serde, value, "channel"), value).blob_digests == [handle.digest]
    assert list(with_references(serialise(serde, ["nothing"], "channel"), ["nothing"]).blob_digests) == []


# --- nothing is stored twice


class Upload(TypedDict):
    upload: bytes
    steps: int


def graph_on(saver: SQLAlchemySaver) -> Any:
    def pass_on(state: Upload) -> dict[str, Any]:
        return {"upload": state["upload"], "steps": state.get("steps", 0) + 1}

    return StateGraph(Upload).add_node("pass_on", pass_on).add_edge(START, "pass_on").compile(checkpointer=saver)


def stored_bytes(saver: SQLAlchemySaver) -> int:
    """Bytes of every row, as text where they are not bytes."""
    return sum(len(item) if isinstance(item, bytes) else len(str(item)) for _, row in rows(saver) for item in row.values())


def upload_of(size: int, seed: int = 7) -> bytes:
    return random.Random(seed).randbytes(size)


async def test_an_upload_that_goes_through_a_graph_is_one_file(blob_place: Place) -> None:
    upload = upload_of(5 * MIB)
    async with blob_place.open() as saver:
        graph = graph_on(saver)
        for thread in "abc":
            await graph.ainvoke({"upload": upload}, config(thread))
        states = [state.values async for state in graph.aget_state_history(config("a"))]
    assert sum(state.get("upload") == upload for state in states) == 2
    (file,) = blob_place.files()
    assert file.read_bytes() == upload
    async with blob_place.open() as saver:
        assert (await graph_on(saver).aget_state(config("c"))).values == {"upload": upload, "steps": 1}


async def test_without_a_folder_an_upload_is_one_row_of_its_thread(place: Place) -> None:
    upload = upload_of(5 * MIB)
    async with place.open() as saver:
        for thread in "ab":
            await graph_on(saver).ainvoke({"upload": upload}, config(thread))
        kept = [row["data"] for table, row in rows(saver) if table == "ckpt_segment" and row["size"] >= MIB]
        assert len(kept) == 2
        assert set(kept) == ({None} if place.files() else {upload})
        assert (await graph_on(saver).aget_state(config("a"))).values["upload"] == upload


async def test_a_step_that_does_not_touch_an_upload_stores_next_to_nothing(blob_place: Place) -> None:
    async with blob_place.open() as saver:
        graph = graph_on(saver)
        await graph.ainvoke({"upload": upload_of(5 * MIB)}, config("t"))
        before, files = stored_bytes(saver), len(blob_place.files())
        for step in range(10):
            await graph.aupdate_state(config("t"), {"steps": 100 + step})
        assert len(blob_place.files()) == files
        values = [len(row["body"]) for table, row in rows(saver) if table == "ckpt_checkpoint"]
        assert max(values) < 2_000
        # Its tags and keys too.
        assert stored_bytes(saver) - before < 10 * 4_000
        assert (await graph.aget_state(config("t"))).values["steps"] == 109


@pytest.mark.parametrize("threads", [["t", "t"], ["a", "b"]], ids=["same thread", "two threads"])
async def test_the_same_upload_twice_at_once_is_one_file(blob_place: Place, threads: list[str]) -> None:
    upload = upload_of(5 * MIB)
    async with blob_place.open() as saver:
        await asyncio.gather(*[put(saver, config(thread), {"upload": upload}) for thread in threads])
        assert len(blob_place.files()) == 1
        for thread in threads:
            assert (await read(saver, config(thread)))["upload"] == upload


def test_the_same_upload_from_two_threads_of_the_process_is_one_file(blob_place: Place) -> None:
    upload, barrier = upload_of(5 * MIB), threading.Barrier(4)
    with blob_place.open() as saver:

        def work(thread: str) -> Any:
            made = checkpoint({"upload": upload, "files": [upload]})
            barrier.wait()
            return saver.put(config(thread), made, metadata(), made["channel_versions"])

        with ThreadPoolExecutor(4) as pool:
            places = list(pool.map(work, "abcd"))
        assert len(blob_place.files()) == 1
        for where in places:
            found = saver.get_tuple(where)
            assert found is not None
            assert found.checkpoint["channel_values"] == {"upload": upload, "files": [upload]}


async def test_a_copied_thread_shares_its_blobs_and_outlives_the_original(blob_place: Place) -> None:
    values = {"upload": upload_of(MIB), "lines": [f"line {n}" * 20 for n in range(3_000)]}
    async with blob_place.open() as saver:
        where = await put(saver, config("t"), values)
        await saver.aput_writes(where, list(values.items()), "task")
        files = sorted(blob_place.files())
        await saver.acopy_thread("t", "copy")
        assert sorted(blob_place.files()) == files
        await saver.adelete_thread("t")
    async with blob_place.open() as saver:
        found = await saver.aget_tuple(config("copy"))
        assert found is not None
        assert found.checkpoint["channel_values"] == values
        assert {channel: value for _, channel, value in found.pending_writes or []} == values
        assert await saver.aget_tuple(config("t")) is None


def segments_of(saver: SQLAlchemySaver, thread_id: str) -> int:
    count = select(func.count()).select_from(Segment).where(Segment.thread_id == thread_id)
    return int(saver.store.runner.read(lambda db: db.connection.execute(count).scalar_one()).result())


async def test_a_deleted_thread_leaves_no_segments(place: Place) -> None:
    async with place.open() as saver:
        for thread in ("t", "other"):
            where = await put(saver, config(thread), {"upload": upload_of(MIB), "lines": ["x" * 900 + str(n) for n in range(500)]})
            await saver.aput_writes(where, [("more", [f"line {n}" * 20 for n in range(500)])], "task")
        kept = segments_of(saver, "other")
        await saver.adelete_thread("t")
        assert segments_of(saver, "t") == 0
        assert segments_of(saver, "other") == kept > 0


async def test_pruning_takes_every_segment_that_no_survivor_needs_and_no_other(place: Place) -> None:
    noise, where = random.Random(7), config("t")
    lines: list[Any] = [noise.randbytes(600).hex() for _ in range(150)]
    async with place.open() as saver:
        for step in range(8):
            lines = [*lines, *[noise.randbytes(600).hex() for _ in range(30)]] if step != 5 else ["new", *lines[20:]]
            values = {"lines": lines, "upload": upload_of(100_000, step // 3), "small": [noise.randbytes(400).hex()]}
            made = checkpoint(values, dict.fromkeys(values, f"{step:04}"))
            where = await saver.aput(where, made, metadata(step), made["channel_versions"])
            await saver.aput_writes(where, [("lines", lines[:100]), ("upload", upload_of(100_000, 100 + step))], f"task {step}")
        before = await saver.aget_tuple(where)
        many = segments_of(saver, "t")
        await saver.aprune(["t"])
        left = segments_of(saver, "t")
    async with place.open() as saver:
        assert await saver.aget_tuple(where) == before
        assert len(await saver.alist(config("t"))) == 1
        needed = [Value(*SERDE.dumps_typed(value)) for value in (*values.values(), lines[:100], upload_of(100_000, 107))]
        named = {name for value in needed for made in [chunk_value(value)] for name in (*made.segments, *made.lists)}
        assert left == len(named) < many
        versions = select(func.count()).select_from(Channel)
        assert saver.store.runner.read(lambda db: db.connection.execute(versions).scalar_one()).result() == 3
        # What is stored after it relies on nothing that went.
        await put(saver, config("t"), {"upload": upload_of(100_000, 0), "lines": lines[:50]})
        assert await read(saver) == {"upload": upload_of(100_000, 0), "lines": lines[:50]}


async def test_a_saver_that_pruned_stores_again_what_it_took_away(place: Place) -> None:
    lines = [random.Random(n).randbytes(600).hex() for n in range(200)]
    first = {"lines": lines, "upload": upload_of(100_000)}
    async with place.open() as saver:
        for step, values in enumerate([first, {"lines": [], "upload": b""}]):
            made = checkpoint(values, dict.fromkeys(values, str(step)))
            await saver.aput(config("t"), made, metadata(step), made["channel_versions"])
        await saver.aprune(["t"])
        assert segments_of(saver, "t") == 0
        made = checkpoint(first, dict.fromkeys(first, "2"))
        await saver.aput(config("t"), made, metadata(2), made["channel_versions"])
    async with place.open() as saver:
        assert await read(saver) == first


class Noting(JsonPlusSerializer):
    """Notes on which thread it serialises long lists."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        if isinstance(obj, list) and len(obj) > 1:
            self.threads.append(threading.get_ident())
        return super().dumps_typed(obj)


async def test_what_was_large_is_serialised_on_another_thread(url: str) -> None:
    noting, here = Noting(), threading.get_ident()
    lines = [f"line {number}: " + "word " * 100 for number in range(3_000)]
    async with SQLAlchemySaver.from_conn_string(url, serde=noting) as saver:
        where = await put(saver, config("t"), {"lines": lines, "few": ["a"]})
        assert set(noting.threads) == {here}
        noting.threads.clear()
        more = checkpoint({"lines": [*lines, "more"]}, {"lines": "2"})
        # In the order of the calls, whatever takes longest.
        large = asyncio.ensure_future(saver.aput(where, more, metadata(1), {"lines": "2"}))
        await asyncio.sleep(0)
        await saver.aput_writes(config("t", more["id"]), [("few", "b")], "task")
        assert large.done()
        await large
        assert noting.threads
        assert here not in noting.threads
        found = await saver.alist(config("t"))
        assert [len(each.checkpoint["channel_values"]["lines"]) for each in found] == [3_001, 3_000]
        assert found[0].pending_writes == [("task", "few", "b")]


async def test_what_fails_on_another_thread_is_said_and_the_next_write_works(url: str) -> None:
    lines = ["word " * 100] * 3_000
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        where = await put(saver, config("t"), {"lines": lines})
        bad = checkpoint({"lines": [*lines, threading.Lock()]}, {"lines": "2"})
        with pytest.raises(SerializationFailed, match="lines"):
            await saver.aput(where, bad, metadata(1), {"lines": "2"})
        good = checkpoint({"lines": [*lines, "good"]}, {"lines": "3"})
        saver.put(where, good, metadata(2), {"lines": "3"})
        found = await saver.aget_tuple(config("t"))
        assert found is not None
        assert found.checkpoint["channel_values"]["lines"][-1] == "good"


class Halting(JsonPlusSerializer):
    """Serialises a list that ends with `last` only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go_on = threading.Event(), threading.Event()

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        if isinstance(obj, list) and obj[-1] == "last":
            self.reached.set()
            assert self.go_on.wait(WAIT_SECONDS)
        return super().dumps_typed(obj)


def test_closing_waits_for_what_is_serialised_on_another_thread(lasting_url: str) -> None:
    lines = ["word " * 100] * 3_000
    halting = Halting()
    saver = SQLAlchemySaver.from_conn_string(lasting_url, serde=halting)
    first = checkpoint({"lines": lines}, {"lines": "1"})
    where = saver.put(config("t"), first, metadata(0), {"lines": "1"})
    last = checkpoint({"lines": [*lines, "last"]}, {"lines": "2"})
    with ThreadPoolExecutor(2) as threads:
        putting = threads.submit(saver.put, where, last, metadata(1), {"lines": "2"})
        assert halting.reached.wait(WAIT_SECONDS)
        while not any(entry.state is State.ENCODING for entry in saver.store._queue._queue):
            pass
        closing = threads.submit(saver.close)
        while not saver.store._queue._closed:
            pass
        halting.go_on.set()
        putting.result(WAIT_SECONDS)
        closing.result(WAIT_SECONDS)
    with SQLAlchemySaver.from_conn_string(lasting_url) as again:
        found = again.get_tuple(config("t"))
        assert found is not None
        assert found.checkpoint["id"] == last["id"]
