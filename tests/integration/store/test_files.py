"""Blobs by handle: put, got, opened, kept as long as a state holds the handle."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, StateGraph

from ckptstore import BlobRef, SQLAlchemySaver
from ckptstore.db.connection import Db
from ckptstore.errors import BlobCorrupt, BlobMissing, InvalidConfig
from tests.support.build import config, put
from tests.support.clocks import Clock
from tests.support.databases import url_of
from tests.support.memory import at_most

PDF = b"%PDF-1.7\n" + os.urandom(300_000)
NO_GRACE = timedelta(0)


@pytest.fixture(params=["sqlite", "asyncpg"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


def saver_on(url: str, tmp_path: Path, **more: Any) -> SQLAlchemySaver:
    return SQLAlchemySaver.from_conn_string(url, blob_url=tmp_path / "blobs", clock=Clock(), **more)


def files(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "memoryview", "path", "text path", "open file", "unseekable file"])
async def test_what_is_put_comes_back(url: str, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "document.pdf"
    path.write_bytes(PDF)
    reader, writer = os.pipe() if kind == "unseekable file" else (None, None)
    async with saver_on(url, tmp_path) as saver:
        if kind == "unseekable file":
            assert reader is not None and writer is not None  # noqa: PT018
            with os.fdopen(writer, "wb") as end, os.fdopen(reader, "rb") as file:

                def fill() -> None:
                    end.write(PDF)
                    end.close()

                filling = asyncio.to_thread(fill)
                ref, _ = await asyncio.gather(saver.blobs.put(file, media_type="application/pdf"), filling)
        else:
            with path.open("rb") as file:
                sources = {
                    "bytes": PDF, "bytearray": bytearray(PDF), "memoryview": memoryview(PDF), "path": path, "text path": str(path),
                    "open file": file,
                }  # fmt: skip
                ref = await saver.blobs.put(sources[kind], media_type="application/pdf")  # type: ignore[arg-type]
        assert (ref.size, ref.digest, ref.media_type) == (len(PDF), hashlib.sha256(PDF).hexdigest(), "application/pdf")
        assert await saver.blobs.get(ref) == PDF
        with await saver.blobs.open(ref) as opened:
            assert opened.read(8) == PDF[:8]
            opened.seek(-5, io.SEEK_END)
            assert opened.read() == PDF[-5:]
    assert [file.read_bytes() for file in files(tmp_path)] == [PDF]


def test_without_an_event_loop(url: str, tmp_path: Path) -> None:
    with saver_on(url, tmp_path) as saver:
        saver.setup()
        ref = saver.blobs.put(PDF).result()
        assert saver.blobs.get(ref).result() == PDF
        with saver.blobs.open(ref.id).result() as file:
            assert file.read() == PDF


async def test_the_same_content_is_stored_once(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver:
        refs = await asyncio.gather(*[saver.blobs.put(PDF) for _ in range(5)])
        assert len(set(refs)) == 1
        await put(saver, config("t"), {"file": PDF})
    async with saver_on(url, tmp_path) as another:
        assert await another.blobs.put(PDF) == refs[0]
    assert len(files(tmp_path)) == 1


async def test_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    size = 200_000_000
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(size)
    async with saver_on(str(tmp_path / "checkpoints.sqlite"), tmp_path) as saver:
        with at_most(size // 10):
            ref = await saver.blobs.put(path)
            with await saver.blobs.open(ref) as back:
                assert back.seek(0, io.SEEK_END) == size
            with path.open("rb") as file:
                assert await saver.blobs.put(file) == ref


async def test_a_handle_in_a_state_keeps_its_blob(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver:
        ref = await saver.blobs.put(PDF)
        await put(saver, config("t"), {"document": ref})
        for _ in range(3):
            await saver.acollect(grace=NO_GRACE)
        found = await saver.aget_tuple(config("t"))
        assert found is not None
        assert found.checkpoint["channel_values"]["document"] == ref
        assert await saver.blobs.get(found.checkpoint["channel_values"]["document"]) == PDF
        await saver.adelete_thread("t")
        for _ in range(2):
            await saver.acollect(grace=NO_GRACE)
        assert files(tmp_path) == []
        with pytest.raises(BlobMissing):
            await saver.blobs.get(ref)


PLACES: dict[str, Callable[[BlobRef], Any]] = {
    "in a list": lambda ref: [1, [ref]],
    "its id in a dict": lambda ref: {"a": {"b": ref.id}},
    "its id in a message": lambda ref: [HumanMessage(f"see {ref.id}.")],
    "beside large bytes": lambda ref: {"file": os.urandom(100_000), "ref": ref},
    "in a long list": lambda ref: [f"{n} " * 100 for n in range(500)] + [ref],
}


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_handle_is_found_wherever_it_is(tmp_path: Path, where: str, encrypted: bool) -> None:
    serde = EncryptedSerializer.from_pycryptodome_aes(key=b"0123456789abcdef") if encrypted else None
    async with saver_on(str(tmp_path / "checkpoints.sqlite"), tmp_path, serde=serde) as saver:
        ref = await saver.blobs.put(PDF)
        await put(saver, config("t"), {"place": PLACES[where](ref)})
        for _ in range(3):
            await saver.acollect(grace=NO_GRACE)
        assert await saver.blobs.get(ref) == PDF


async def test_a_handle_in_a_tasks_writes_keeps_its_blob(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver:
        ref = await saver.blobs.put(PDF)
        where = await put(saver, config("t"), {})
        await saver.aput_writes(where, [("document", ref)], "task")
        for _ in range(3):
            await saver.acollect(grace=NO_GRACE)
        assert await saver.blobs.get(ref) == PDF


async def test_a_copy_keeps_the_blob_when_the_original_is_deleted(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver:
        ref = await saver.blobs.put(PDF)
        await put(saver, config("t"), {"document": ref, "file": PDF[:100_000]})
        await saver.acopy_thread("t", "u")
        await saver.adelete_thread("t")
        for _ in range(3):
            await saver.acollect(grace=NO_GRACE)
        found = await saver.aget_tuple(config("u"))
        assert found is not None
        assert found.checkpoint["channel_values"] == {"document": ref, "file": PDF[:100_000]}
        assert await saver.blobs.get(ref) == PDF


async def test_text_that_only_looks_like_a_handle_does_no_harm(url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = f"ckptblob:{'a' * 64}"
    async with saver_on(url, tmp_path) as saver:
        await put(saver, config("t"), {"message": text})
        found = await saver.aget_tuple(config("t"))
        assert found is not None
        assert found.checkpoint["channel_values"] == {"message": text}
        with pytest.raises(BlobMissing, match="not registered"):
            await saver.blobs.get(text)
    assert "handle_dangling" in {getattr(record, "event", None) for record in caplog.records}


class State(TypedDict, total=False):
    document: BlobRef
    pages: int


async def test_a_graph_passes_the_handle_on(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver:

        async def upload(_state: Any) -> Any:
            return {"document": await saver.blobs.put(PDF, media_type="application/pdf")}

        async def read(state: Any) -> Any:
            return {"pages": len(await saver.blobs.get(state["document"]))}

        builder: Any = StateGraph(State)
        builder.add_node("upload", upload)
        builder.add_node("read", read)
        builder.add_edge(START, "upload")
        builder.add_edge("upload", "read")
        builder.add_edge("read", END)
        graph = builder.compile(checkpointer=saver, interrupt_before=["read"])
        await saver.setup()
        await graph.ainvoke({}, config("t"))
    async with saver_on(url, tmp_path) as saver:
        graph = builder.compile(checkpointer=saver)
        result = await graph.ainvoke(None, config("t"))
        assert result["pages"] == len(PDF)
        assert isinstance(result["document"], BlobRef)


async def test_a_strict_serialiser_lets_handles_through(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for allowed in (None, True):
        serde = JsonPlusSerializer(allowed_msgpack_modules=allowed)
        async with saver_on(str(tmp_path / "checkpoints.sqlite"), tmp_path, serde=serde) as saver:
            ref = await saver.blobs.put(PDF)
            await put(saver, config("t"), {"document": ref})
            found = await saver.aget_tuple(config("t"))
            assert found is not None
            assert found.checkpoint["channel_values"]["document"] == ref
    assert "BlobRef" not in caplog.text


@pytest.mark.parametrize("harm", ["gone", "truncated", "altered", "longer"])
async def test_a_harmed_blob_is_never_given_out(url: str, tmp_path: Path, harm: str) -> None:
    async with saver_on(url, tmp_path) as saver:
        ref = await saver.blobs.put(PDF)
        await put(saver, config("t"), {"file": PDF[:100_000]})
    for file in files(tmp_path):
        data = file.read_bytes()
        harmed = {"truncated": data[:-1], "altered": data[:500] + bytes([data[500] ^ 1]) + data[501:], "longer": data + b"x"}
        file.unlink() if harm == "gone" else file.write_bytes(harmed[harm])
    error = BlobMissing if harm == "gone" else BlobCorrupt
    async with saver_on(url, tmp_path) as saver:
        for call in (lambda: saver.blobs.get(ref), lambda: saver.blobs.open(ref), lambda: saver.aget_tuple(config("t"))):
            with pytest.raises(error, match="blobs"):
                await call()
        report = await saver.averify(deep=True)
        assert not report.ok
        assert len(report.missing_objects if harm == "gone" else report.corrupt) == 2
        shallow = await saver.averify()
        assert shallow.ok is (harm == "altered"), "the size alone tells of all but an alteration"


async def test_strays_and_dangling_segments_are_reported(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver:
        await put(saver, config("t"), {"file": PDF})
        assert (await saver.averify(deep=True)).ok
        stray = tmp_path / "blobs" / "ab" / ("ab" + "0" * 62 + "-0123")
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"nobody knows me")
        report = await saver.averify()
        assert report.ok
        assert report.unregistered_objects == [str(stray.relative_to(tmp_path / "blobs"))]

        def forget_objects(db: Db) -> None:
            db.connection.exec_driver_sql("DELETE FROM ckpt_object")

        saver.store.runner.write(forget_objects).result()
        assert len((await saver.averify()).broken_references) == 1


async def test_blobs_under_another_url_are_missing_and_the_url_is_named(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver:
        await put(saver, config("t"), {"file": PDF})
    async with SQLAlchemySaver.from_conn_string(url, blob_url=tmp_path / "elsewhere") as saver:
        with pytest.raises(BlobMissing, match="elsewhere"):
            await saver.aget_tuple(config("t"))
        # What is put again is uploaded to where it lacks, whatever the rows say.
        await put(saver, config("u"), {"file": PDF})
        found = await saver.aget_tuple(config("u"))
        assert found is not None
        assert found.checkpoint["channel_values"]["file"] == PDF


async def test_a_saver_without_a_backend_has_nothing_to_relocate(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(url_of("asyncpg", request, tmp_path)) as saver:
        assert (await saver.acollect()).marked == 0
        assert (await saver.averify()).objects == 0
        with pytest.raises(InvalidConfig, match="blob_url"):
            await saver.arelocate_blobs()


@pytest.mark.parametrize("source", [7, None, ["a"], io.StringIO("text")])
async def test_what_is_no_blob_is_refused(tmp_path: Path, source: Any) -> None:
    async with saver_on(str(tmp_path / "checkpoints.sqlite"), tmp_path) as saver:
        with pytest.raises(InvalidConfig):
            await saver.blobs.put(source)
        with pytest.raises(InvalidConfig, match=r"absent\.pdf"):
            await saver.blobs.put(tmp_path / "absent.pdf")


@pytest.mark.parametrize("handle", [7, None, "ckptblob:short", "text", {"id": 3}, {}])
async def test_what_is_no_handle_is_refused(tmp_path: Path, handle: Any) -> None:
    async with saver_on(str(tmp_path / "checkpoints.sqlite"), tmp_path) as saver:
        with pytest.raises(InvalidConfig, match="handle"):
            await saver.blobs.get(handle)
