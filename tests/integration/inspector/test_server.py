"""Serving."""

from __future__ import annotations

import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any

import httpx2
import pytest
import uvicorn

from ckptstore.inspector import server
from ckptstore.inspector.addresses import LOOPBACK, listen
from ckptstore.inspector.context import Inspector
from ckptstore.inspector.guard import Access
from tests.support.inspector import reading_store


@contextmanager
def serving(url: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Iterator[str]:
    """A server in a thread; gives the URL that it would print."""
    made: Queue[uvicorn.Server] = Queue()
    plain = uvicorn.Server

    def remember(config: uvicorn.Config) -> uvicorn.Server:
        created = plain(config)
        made.put(created)
        return created

    monkeypatch.setattr(uvicorn, "Server", remember)
    access = Access()
    with reading_store(url) as store, listen(LOOPBACK, 0, allow_remote=False) as listening:
        arguments = (Inspector(store, "x"), listening, LOOPBACK, access)
        thread = threading.Thread(target=server.serve, args=arguments, kwargs={"allow_remote": False, "browser": False, **options})
        thread.start()
        try:
            yield server.url_of(listening, LOOPBACK, access)
        finally:
            made.get(timeout=20).should_exit = True
            thread.join()


def test_the_printed_url_admits(sqlite_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(sqlite_url, monkeypatch) as url, httpx2.Client() as client:
        base = url.partition("/?")[0]
        assert client.get(f"{base}/threads").status_code == 403
        assert client.get(url).status_code == 200
        answer = client.get(f"{base}/threads")
        assert (answer.status_code, "No threads yet" in answer.text, "server" in answer.headers) == (200, True, False)
    # No log has the token.
    assert capfd.readouterr().out == ""


def test_a_browser_is_opened_at_the_url(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    done = threading.Event()

    def remember(url: str) -> None:
        opened.append(url)
        done.set()

    monkeypatch.setattr(webbrowser, "open", remember)
    with serving(sqlite_url, monkeypatch, browser=True) as url:
        assert done.wait(20)
    assert opened == [url]
