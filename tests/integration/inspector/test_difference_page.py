"""The difference of two checkpoints."""

from __future__ import annotations

import re

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from starlette.testclient import TestClient

from ckptstore import SQLAlchemySaver
from tests.support.build import checkpoint, config, metadata
from tests.support.inspector import inspecting, links_of, text_of

HOSTILE = "</section><script>alert(1)</script>"
PNG = b"\x89PNG\r\n\x1a\n"
BEFORE = {
    "messages": [HumanMessage("hello", id="1"), AIMessage("hm", id="2")],
    "text": "a\nb\nc",
    "n": 1,
    "gone": [1],
    HOSTILE: [1],
    "same": [0],
}
AFTER = {
    "messages": [HumanMessage("hello!", id="1"), HumanMessage([{"type": "file", "mime_type": "image/png", "data": PNG}], id="3")],
    "text": "a\nB\nc",
    "n": 2,
    "new": HOSTILE,
    HOSTILE: {HOSTILE: HOSTILE},
    "same": [0],
}


@pytest.fixture
async def filled(sqlite_url: str) -> tuple[str, str, str]:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        where = config("t")
        ids = []
        for step, values in enumerate((BEFORE, AFTER)):
            made = checkpoint(values, dict.fromkeys(values, str(step)))
            where = await saver.aput(where, made, metadata(step, note=HOSTILE if step else "x"), made["channel_versions"])
            ids.append(made["id"])
    first, second = ids
    return sqlite_url, first, second


def page_of(client: TestClient, *chosen: str) -> str:
    answer = client.get("/diff", params={"thread": "t", "c": list(chosen)})
    assert answer.status_code == 200, text_of(answer.text)
    return answer.text


def test_channels_are_compared_one_by_one(filled: tuple[str, str, str]) -> None:
    url, first, second = filled
    with inspecting(url) as client:
        page = page_of(client, f"{first} ", f"{second} ")
        assert "<script>alert" not in page
        text = text_of(page)
        assert re.findall(r'class="change (\w+)"', page).count("removed") == 2
        assert "[0].content" in text
        assert '<span class="removed">-b</span>' in page
        assert '<span class="added">+B</span>' in page
        assert "Unchanged: same" in text
        assert "note" in text
        # The picture of the message that was added.
        (picture,) = links_of(page, r"^/raw\?.*path=1\.0\.0\.2$")[:1]
        assert client.get(picture).content == PNG


def test_the_older_one_comes_first(filled: tuple[str, str, str]) -> None:
    url, first, second = filled
    with inspecting(url) as client:
        assert page_of(client, f"{second} ", f"{first} ") == page_of(client, f"{first} ", f"{second} ")


def test_a_checkpoint_and_itself(filled: tuple[str, str, str]) -> None:
    url, first, _ = filled
    with inspecting(url) as client:
        assert "No differences" in page_of(client, f"{first} ", f"{first} ")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_two_have_to_be_chosen(filled: tuple[str, str, str], count: int) -> None:
    url, first, _ = filled
    with inspecting(url) as client:
        answer = client.get("/diff", params={"thread": "t", "c": [f"{first} "] * count})
        assert (answer.status_code, "two checkpoints can be compared" in answer.text.lower()) == (404, True)


def test_hidden_keys_stay_hidden(filled: tuple[str, str, str]) -> None:
    url, first, second = filled
    with inspecting(url, redact=["content", "text"]) as client:
        page = page_of(client, f"{first} ", f"{second} ")
        assert "hello" not in page
        assert "+B" not in page


def test_a_state_that_can_not_be_read_is_a_sentence(filled: tuple[str, str, str]) -> None:
    url, first, second = filled
    with SQLAlchemySaver.from_conn_string(url) as saver:
        saver.store.runner.write(lambda db: db.execute("UPDATE ckpt_channel SET type = 'json'")).result()
    with inspecting(url) as client:
        assert "was altered" in page_of(client, f"{first} ", f"{second} ")


def test_namespaces_are_named(client: TestClient) -> None:
    tree = client.get("/thread?thread=ann").text
    values = re.findall(r'name="c" value="([^"]*)"', tree)
    inner = [value for value in values if "ask:" in value]
    answer = client.get("/diff", params={"thread": "ann", "c": inner[:2]})
    assert (answer.status_code, 'class="problem"' in answer.text) == (200, False)
