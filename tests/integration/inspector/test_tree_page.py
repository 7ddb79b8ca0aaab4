"""A thread's tree."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from ckptstore import RetentionPolicy, SQLAlchemySaver
from tests.support.build import chain, config, put
from tests.support.inspector import inspecting, links_of, text_of

HOSTILE = "</title><script>alert(1)</script>\"'&#x202e;\u202e"


def test_a_conversation_has_forks_subgraphs_and_interrupts(client: TestClient) -> None:
    page = client.get("/thread", params={"thread": "ann"}).text
    assert page.count("data-row>") == 10
    assert page.count('class="ring"') == 4
    assert {"fork", "parent", "subgraph"} == set(re.findall(r'class="line (\w+)"', page))
    text = text_of(page)
    assert "1 interrupt" in text
    assert "writes messages" in text
    assert "\x1b" not in page
    for address in links_of(page, "^/checkpoint"):
        assert client.get(address).status_code == 200


def test_a_namespace_alone(client: TestClient) -> None:
    page = client.get("/thread", params={"thread": "ann"}).text
    inner = [address for address in links_of(page, r"^/thread\?.*ns=ask") if address]
    assert client.get(inner[0]).text.count("data-row>") == 2
    assert client.get("/thread", params={"thread": "ann", "ns": ""}).text.count("data-row>") == 6
    none = client.get("/thread", params={"thread": "ann", "ns": "no such"})
    assert "No checkpoints here" in none.text


async def test_a_long_thread_page_by_page(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await chain(saver, "t", 230)
    with inspecting(lasting_url) as client:
        address, steps = "/thread?thread=t", list[str]()
        while address:
            page = client.get(address).text
            steps += re.findall(r">Step (\d+)</a>", page)
            found = re.search(r'href="([^"]*)" data-next', page)
            address = found[1].replace("&amp;", "&") if found else ""
        assert steps == [str(step) for step in range(229, -1, -1)]


async def test_what_was_pruned_is_a_gap(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await chain(saver, "t", 5)
        await saver.aprune_by(RetentionPolicy(keep_last=2))
    with inspecting(sqlite_url) as client:
        page = client.get("/thread?thread=t").text
        assert page.count('class="line pruned"') == 1
        assert "pruned before this" in page


async def test_hostile_names_are_text(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        where = await put(saver, config(HOSTILE, checkpoint_ns=HOSTILE), {"n": 1}, source=HOSTILE)
        await saver.aput_writes(where, [(HOSTILE, 1)], "task")
    with inspecting(sqlite_url) as client:
        page = client.get(f"/thread?thread={quote(HOSTILE)}").text
        assert "<script>alert" not in page
        assert "\u202e" not in re.sub(r'(href|value)="[^"]*"', "", page)
        for address in links_of(page, "^/(checkpoint|thread|export)"):
            assert client.get(address).status_code == 200, address


@pytest.mark.parametrize("path", ["/thread", "/checkpoint", "/export", "/diff", "/value", "/raw"])
def test_a_thread_that_is_gone_is_a_sentence(client: TestClient, path: str) -> None:
    answer = client.get(path, params={"thread": "gone", "c": ["1 ", "2 "]})
    assert answer.status_code == 404
    assert "There is no thread 'gone'" in text_of(answer.text)
    assert client.get(path).status_code == 404


async def test_a_thread_with_writes_only(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await saver.aput_writes(config("t", "1f00"), [("n", 1)], "task")
    with inspecting(sqlite_url) as client:
        assert "Only writes have arrived" in client.get("/thread?thread=t").text
