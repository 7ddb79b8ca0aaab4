"""A single value."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from ckptstore import SQLAlchemySaver
from tests.support.build import config, put
from tests.support.inspector import inspecting, links_of, text_of

NUMBERS = [{"number": f"number {n} " * 10} for n in range(450)]


@pytest.fixture
async def filled(sqlite_url: str) -> str:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        values: dict[str, Any] = {"numbers": NUMBERS, "talk": [HumanMessage(f"text {n}", id=str(n)) for n in range(250)]}
        where = await put(saver, config("t"), values | {"deep": {"a": {"b": ["x" * 90, "y" * 90]}}}, user={"name": "n" * 90})
        await saver.aput_writes(where, [("c", {"w": "z" * 90})], "task")
    return sqlite_url


def test_long_lists_go_on_page_by_page(filled: str) -> None:
    with inspecting(filled) as client:
        page = client.get("/value?thread=t&channel=numbers")
        seen = 0
        while True:
            seen += page.text.count("<dt>number</dt>") or page.text.count("<code>{number:")
            following = links_of(page.text, "^/value")
            if not following:
                break
            page = client.get(following[-1])
        assert seen == 450


def test_conversations_go_on_in_both_directions(filled: str) -> None:
    with inspecting(filled) as client:
        page = client.get("/value?thread=t&channel=talk&start=100")
        assert "text 100" in page.text
        assert "text 199" in page.text
        assert "100 earlier messages" in page.text
        assert "50 later messages" in page.text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("channel=deep&path=0.0.1", "y" * 90),
        ("metadata=1&path=3", "n" * 90),
        ("write=0", "z" * 90),
        ("channel=numbers&start=449", "number 449"),
    ],
)
def test_parts_are_shown(filled: str, query: str, said: str) -> None:
    with inspecting(filled) as client:
        assert said in client.get(f"/value?thread=t&{query}").text


def test_a_place_that_can_not_be_read(filled: str) -> None:
    with inspecting(filled) as client:
        for start in ("x", "-1", "9" * 12):
            answer = client.get(f"/value?thread=t&channel=numbers&start={start}")
            assert (answer.status_code, "can't be read" in text_of(answer.text)) == (404, True)
        assert client.get("/value?thread=t&channel=numbers&start=999").status_code == 200
