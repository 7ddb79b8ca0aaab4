"""The addresses of values."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from ckptstore.inspector.value_links import of_channel, of_metadata, of_write
from ckptstore.records import CheckpointKey
from tests.support.inspector import text_of

KEY = CheckpointKey("t/&?", "a:b|c", "1")


def query_of(address: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(address).query, keep_blank_values=True)


def test_parts_of_each_kind_of_value() -> None:
    assert query_of(of_channel(KEY, "c=1").raw((0, 2))) == {
        "thread": ["t/&?"],
        "ns": ["a:b|c"],
        "id": ["1"],
        "channel": ["c=1"],
        "path": ["0.2"],
    }
    assert query_of(of_write(KEY, 0).more((), 7))["write"] == ["0"]
    assert query_of(of_write(KEY, 0).more((), 7))["start"] == ["7"]
    assert "path" not in query_of(of_metadata(KEY).more((), 0))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"channel": "no such"}, "has no channel 'no such'"),
        ({"write": "99"}, "has no such write"),
        ({"write": "x"}, "has no such write"),
        ({"write": "-1"}, "has no such write"),
        ({"channel": "messages", "path": "99"}, "no such part"),
        ({"channel": "messages", "path": "x"}, "can't be read"),
    ],
)
@pytest.mark.parametrize("page", ["/value", "/raw"])
def test_values_that_are_not_there(client: TestClient, page: str, query: dict[str, str], said: str) -> None:
    answer = client.get(page, params={"thread": "ann", "ns": "", **query})
    assert (answer.status_code, said in text_of(answer.text)) == (404, True)
