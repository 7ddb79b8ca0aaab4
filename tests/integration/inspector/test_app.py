"""The application as a whole."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from ckptstore import SQLAlchemySaver
from tests.support.inspector import ACCESS, text_of

PAGES = ["/threads", "/thread?thread=ann", "/checkpoint?thread=ann", "/space", "/retention", "/export?thread=ann", "/tag-values?key=x"]
PAGES += ["/value?thread=ann&metadata=1", "/raw?thread=ann&metadata=1&path=0", "/diff?thread=ann", "/", "/nope"]


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_shown_without_the_cookie(client: TestClient, path: str) -> None:
    client.cookies.clear()
    answer = client.get(path)
    assert answer.status_code == 403
    assert "ann" not in text_of(answer.text).replace("&channel", "")
    assert "ckptstore inspect" in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_has_the_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/nope", "/threads/x", "/static/../app.py", "/static/none.css", "/static/%2e%2e%2fapp.py"])
def test_other_paths_are_no_pages(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "def " not in answer.text


def test_the_first_page_is_the_list(client: TestClient) -> None:
    assert client.get("/").headers["location"] == "/threads"


def test_the_token_is_on_no_page(client: TestClient) -> None:
    for path in PAGES:
        text = client.get(path).text
        assert ACCESS.token not in text
        assert ACCESS.session not in text
    assert ACCESS.token not in client.get("/threads", params={"token": ACCESS.token}).text


@pytest.mark.parametrize("name", ["inspector.css", "inspector.js", "icon.svg"])
def test_files_of_the_package(client: TestClient, name: str) -> None:
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 200
    assert "max-age" in answer.headers["cache-control"]


def test_a_row_that_was_altered_is_a_sentence(client: TestClient, conversation: str) -> None:
    with SQLAlchemySaver.from_conn_string(conversation) as saver:
        saver.store.runner.write(lambda db: db.execute("UPDATE ckpt_thread SET size = 'x'")).result()
    # The head of the list is sent before its threads are read.
    for path, status in (("/threads", 200), ("/thread?thread=ann", 500)):
        answer = client.get(path)
        assert answer.status_code == status
        assert "was altered" in text_of(answer.text)
        assert "Traceback" not in answer.text


def test_a_database_that_fails_is_a_sentence(client: TestClient, conversation: str) -> None:
    with SQLAlchemySaver.from_conn_string(conversation) as saver:
        saver.store.runner.write(lambda db: db.execute("DROP TABLE ckpt_write")).result()
    answer = client.get("/thread?thread=ann")
    assert answer.status_code == 503
    assert "This can't be shown" in answer.text
    assert "Traceback" not in answer.text
