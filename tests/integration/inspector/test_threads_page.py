"""The list of threads."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from ckptstore import SQLAlchemySaver, TagKeys
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.inspector import inspecting, links_of, text_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"'&"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


THREADS = (("ann-1", "ann", 1), ("ben/1?", "ben", 2), ("ann-2", "ann", 2), (HOSTILE, "eve", 3))


async def fill(url: str, **options: Any) -> None:
    """Some threads, each ten days older than the one before; those of the second tier are large."""
    clock = Clock()
    async with SQLAlchemySaver.from_conn_string(url, clock=clock, **options) as saver:
        for days, (thread_id, user, tier) in enumerate(THREADS):
            clock.now = NOW - timedelta(days=days * 10)
            text = "x" * (200_000 if tier == 2 else 100)
            await put(saver, config(thread_id), {"text": [text]}, user_id=user, tier=tier, tags=["t"], **{"a.b": 1})


def listed(client: TestClient, **query: Any) -> list[str]:
    """The ids on a page."""
    answer = client.get("/threads", params=query)
    assert answer.status_code == 200, text_of(answer.text)
    found = re.findall(r'<th scope="row"><a href="[^"]*">(.*?)</a>', answer.text)
    return [text_of(each) for each in found]


async def test_the_most_recently_active_first_or_by_id(lasting_url: str) -> None:
    await fill(lasting_url)
    with inspecting(lasting_url, now=NOW) as client:
        assert listed(client) == ["ann-1", "ben/1?", "ann-2", HOSTILE]
        assert listed(client, order="thread_id") == [HOSTILE, "ann-1", "ann-2", "ben/1?"]
        page = client.get("/threads").text
        assert "<script>alert" not in page
        assert "10 days ago" in page
        assert "195 KB" in page


async def test_each_condition(lasting_url: str) -> None:
    await fill(lasting_url)
    with inspecting(lasting_url, now=NOW) as client:
        assert listed(client, q="nn-") == ["ann-1", "ann-2"]
        assert listed(client, q="%") == []
        assert listed(client, q="<script>") == [HOSTILE]
        assert listed(client, active="7d") == ["ann-1"]
        assert listed(client, active="-15d") == ["ann-2", HOSTILE]
        assert listed(client, size="102400") == ["ben/1?", "ann-2"]
        assert listed(client, filter='{"user_id": "ann"}') == ["ann-1", "ann-2"]
        assert listed(client, filter='{"user_id": "ann", "tier": {"$gte": 2}}', q="ann", size="1", active="30d") == ["ann-2"]
        assert listed(client, filter='{"no_such": {"$exists": false}, "tier": 3}') == [HOSTILE]


async def test_a_tag_is_added_and_taken_away(sqlite_url: str) -> None:
    await fill(sqlite_url)
    with inspecting(sqlite_url) as client:
        chosen = client.get("/threads", params={"key": "user_id", "value": "ann", "filter": '{"tier": 1}', "q": "a"})
        assert chosen.status_code == 303
        page = client.get(chosen.headers["location"])
        assert 'user_id: "ann"' in text_of(page.text)
        assert re.findall(r">(ann-\d)</a>", page.text) == ["ann-1"]
        without = [client.get(address) for address in links_of(page.text, r"^/threads\?.*filter=")]
        assert [json.loads(dict(each.request.url.params)["filter"]) for each in without] == [{"user_id": "ann"}, {"tier": 1}]
        assert all(each.request.url.params["q"] == "a" for each in without)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("tier", "2", {"tier": 2}),
        ("user_id", "ann", {"user_id": "ann"}),
        ("user_id", '"7"', {"user_id": "7"}),
        ("flag", "true", {"flag": True}),
        ("x", "null", {"x": None}),
        ("x", "[1]", {"x": "[1]"}),
        ("x", "", {"x": ""}),
        ("tags[]", "t", {"tags": ["t"]}),
        ("user/na~1me", "ann", {"user": {"na/me": "ann"}}),
        ("x", HOSTILE, {"x": HOSTILE}),
    ],
)
async def test_what_is_typed_is_read(sqlite_url: str, key: str, value: str, wanted: Any) -> None:
    with inspecting(sqlite_url) as client:
        answer = client.get("/threads", params={"key": key, "value": value})
        assert json.loads(client.get(answer.headers["location"]).request.url.params["filter"]) == wanted


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"filter": "{"}, "The filter is no JSON"),
        ({"filter": "[1]"}, "no JSON object"),
        ({"filter": '{"a": {"$near": 1}}'}, "$near"),
        ({"filter": '{"a": ' + "[" * 2_000}, "no JSON"),
        ({"filter": "{", "key": "a", "value": "1"}, "The filter is no JSON"),
        ({"size": "big"}, "a number of bytes, got 'big'"),
        ({"active": "soon"}, "soon"),
        ({"order": HOSTILE}, "can't be ordered by"),
        ({"after": "x"}, "begin at the first one"),
        ({"after": '[1e300, "a"]'}, "begin at the first one"),
        ({"q": "a\0"}, "NUL"),
    ],
)
async def test_what_can_not_be_read_is_a_sentence(sqlite_url: str, query: dict[str, str], said: str) -> None:
    with inspecting(sqlite_url) as client:
        answer = client.get("/threads", params=query)
        assert answer.status_code == 400
        assert said in text_of(answer.text)
        assert "Traceback" not in answer.text
        assert "<script>alert" not in answer.text


async def test_a_key_that_is_not_indexed_is_named(sqlite_url: str) -> None:
    await fill(sqlite_url, tag_keys=TagKeys(exclude=("tier",)))
    with inspecting(sqlite_url) as client:
        answer = client.get("/threads", params={"filter": '{"tier": 1}'})
        assert (answer.status_code, "tier" in answer.text) == (400, True)


async def test_many_threads_are_listed_page_by_page(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        for number in range(120):
            made = checkpoint()
            await saver.aput(config(f"t{number:03}"), made, metadata(), {})
    with inspecting(sqlite_url) as client:
        seen: list[str] = []
        address = "/threads?order=thread_id"
        while True:
            page = client.get(address).text
            seen += re.findall(r">(t\d+)</a>", page)
            following = re.search(r'href="([^"]*)" data-next', page)
            if following is None:
                break
            address = following[1].replace("&amp;", "&")
        assert seen == [f"t{number:03}" for number in range(120)]
        assert "First page" in page


async def test_an_empty_store_says_so(sqlite_url: str) -> None:
    with inspecting(sqlite_url) as client:
        assert "No threads yet" in client.get("/threads").text
        assert "No such thread" in client.get("/threads", params={"q": "x"}).text


async def test_keys_and_values_are_completed(sqlite_url: str) -> None:
    await fill(sqlite_url)
    with inspecting(sqlite_url) as client:
        assert {"user_id", "tier", "tags[]"} <= set(re.findall(r'<option value="([^"]*)">', client.get("/threads").text))
        assert client.get("/tag-values", params={"key": "user_id"}).json() == {"values": ["ann", "ben", "eve"], "more": False}
        assert client.get("/tag-values", params={"key": "user_id", "typed": "b"}).json()["values"] == ["ben"]
        assert client.get("/tag-values", params={"key": "tier"}).json()["values"] == ["1", "2", "3"]
        assert client.get("/tag-values", params={"key": "a.b"}).json()["values"] == ["1"]


async def test_a_text_that_looks_like_a_number_is_completed_in_quotes(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await put(saver, config("t"), number="42", word="ann")
    with inspecting(sqlite_url) as client:
        assert client.get("/tag-values", params={"key": "number"}).json()["values"] == ['"42"']


async def test_hidden_keys_are_neither_offered_nor_searched(sqlite_url: str) -> None:
    await fill(sqlite_url)
    with inspecting(sqlite_url, redact=["user*"]) as client:
        assert "user_id" not in client.get("/threads").text
        assert client.get("/tag-values", params={"key": "user_id"}).json() == {"values": [], "more": False}
        for wanted in ('{"user_id": "ann"}', '{"user_id": {"$in": ["ann"]}}', '{"x": {"user_id": "ann"}}', '{"x.user_id": "ann"}'):
            answer = client.get("/threads", params={"filter": wanted})
            assert (answer.status_code, "redacted" in text_of(answer.text)) == (400, True), wanted
        assert listed(client, filter='{"tier": 2}') == ["ben/1?", "ann-2"]


async def test_threads_with_many_checkpoints_count_them(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await chain(saver, "t", 12)
    with inspecting(sqlite_url) as client:
        assert '<td class="right" data-label="checkpoints">12</td>' in client.get("/threads").text
