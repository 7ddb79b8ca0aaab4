"""A checkpoint's state."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from starlette.testclient import TestClient

from ckptstore import SQLAlchemySaver
from ckptstore.errors import CheckpointCorrupt
from ckptstore.inspector.checkpoint_page import Problem, attempt
from tests.support.build import checkpoint, config, metadata, put
from tests.support.conversations import FILE, converse
from tests.support.inspector import inspecting, links_of, text_of
from tests.support.serialisers import Pickling, encrypting

HOSTILE = "</section><script>alert(1)</script>\"'"


def newest(client: TestClient, thread: str = "ann") -> str:
    answer = client.get("/checkpoint", params={"thread": thread, "ns": ""})
    assert answer.status_code == 200
    return answer.text


def test_a_conversation_a_file_a_class_and_an_interrupt(lasting_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        converse(saver)
    with inspecting(lasting_url) as client:
        page = newest(client)
        text = text_of(page)
        assert "human What is the weather?" in text
        assert "search" in text
        assert 'Verdict(text="fine")' in text
        assert "really?" in text
        assert 'class="write interrupt"' in page
        assert ("in blob storage" in text) == (not lasting_url.startswith("postgresql"))
        assert "Reading the state" in page
        assert 'class="problem"' not in page


def test_every_link_of_the_page_leads_somewhere(client: TestClient) -> None:
    for address in links_of(newest(client), "^/"):
        assert client.get(address).status_code in (200, 303), address


async def test_hostile_values_are_text_everywhere(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        values = {HOSTILE: [HOSTILE], "text": HOSTILE, "file": HOSTILE.encode(), "map": {HOSTILE: {"x": HOSTILE}}}
        where = await put(saver, config("t"), values, 0, **{HOSTILE: HOSTILE})
        await saver.aput_writes(where, [(HOSTILE, HOSTILE)], HOSTILE)
    with inspecting(sqlite_url) as client:
        page = newest(client, "t")
        assert "<script>alert" not in page
        assert text_of(page).count("alert(1)") >= 8


async def test_what_can_not_be_shown_says_why_and_the_rest_is_shown(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await put(saver, config("t"), {"n": [1, 2], "file": FILE})
    shutil.rmtree(f"{sqlite_url}.blobs")
    with inspecting(sqlite_url) as client:
        page = newest(client, "t")
        assert 'class="not-shown">object' in page
        assert "<code>[1, 2]</code>" in page


@pytest.mark.parametrize(("serde", "said"), [(encrypting(), "--serde"), (Pickling(), "stored as &#39;pickled&#39;")])
async def test_a_store_under_another_serialiser(sqlite_url: str, serde: Any, said: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url, serde=serde) as saver:
        await put(saver, config("t"), {"word": ["hidden"]})
    with inspecting(sqlite_url) as client:
        page = newest(client, "t")
        assert said in page
        assert "hidden" not in page


async def test_the_key_opens_encrypted_values(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url, serde=encrypting()) as saver:
        await put(saver, config("t"), {"word": ["hidden"]})
    with inspecting(sqlite_url, serde=encrypting()) as client:
        assert "hidden" in newest(client, "t")


async def test_an_altered_row_is_a_sentence_on_the_page(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await put(saver, config("t"), {"n": [1]})
        saver.store.runner.write(lambda db: db.execute("UPDATE ckpt_channel SET type = 'json'")).result()
    with inspecting(sqlite_url) as client:
        page = newest(client, "t")
        assert 'class="problem"' in page
        assert "was altered" in page
        assert page.rstrip().endswith("</html>")


async def test_hidden_keys_are_hidden(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        where = await put(saver, config("t"), {"email": "s3cret", "user": {"email": "s3cret", "name": "ann"}}, email="s3cret")
        await saver.aput_writes(where, [("email", "s3cret"), ("user", {"email": "s3cret"})], "task")
    with inspecting(sqlite_url, redact=["email"]) as client:
        page = newest(client, "t")
        assert "s3cret" not in page
        assert 'class="redacted"' in page
        assert "ann" in text_of(page)


async def test_what_is_shared_is_said(sqlite_url: str) -> None:
    texts = [f"text {number} " * 40 for number in range(200)]
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        first = checkpoint({"kept": texts, "grown": texts}, {"kept": "1", "grown": "1"})
        where = await saver.aput(config("t"), first, metadata(), {"kept": "1", "grown": "1"})
        second = checkpoint({"kept": texts, "grown": [*texts, "more"]}, {"kept": "1", "grown": "2"})
        await saver.aput(where, second, metadata(1), {"grown": "2"})
    with inspecting(sqlite_url) as client:
        text = text_of(newest(client, "t"))
        assert "unchanged: stored once" in text
        assert "KB shared with its parent" in text


async def test_a_checkpoint_without_values(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        made = checkpoint()
        await saver.aput(config("t"), made, metadata(), {})
    with inspecting(sqlite_url) as client:
        page = text_of(newest(client, "t"))
        assert "No values" in page
        assert "none: it begins here" in page


@pytest.mark.parametrize(
    ("query", "said"), [({"id": "zz"}, "has no checkpoint 'zz'"), ({"ns": "zz"}, "namespace 'zz'"), ({"id": "1"}, "everal checkpoints")]
)
def test_a_checkpoint_that_is_not_there_is_a_sentence(client: TestClient, query: dict[str, str], said: str) -> None:
    answer = client.get("/checkpoint", params={"thread": "ann", **query})
    assert (answer.status_code, said in text_of(answer.text)) == (404, True)


def test_an_attempt_ends_with_a_sentence() -> None:
    def fail(exc: Exception) -> int:
        raise exc

    assert attempt(lambda: 5) == 5
    assert attempt(lambda: fail(CheckpointCorrupt("altered"))) == Problem("altered")
    assert "TypeError" in str(attempt(lambda: fail(TypeError("value"))))
    with pytest.raises(KeyError):
        attempt(lambda: fail(KeyError("a mistake of ours")))
