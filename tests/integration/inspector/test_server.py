"""Serving."""

from __future__ import annotations

import threading
import webbrowser

import httpx2
import pytest

from tests.support.inspector import serving


def test_the_printed_url_admits(sqlite_url: str, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(sqlite_url) as url, httpx2.Client() as client:
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
    with serving(sqlite_url, browser=True) as url:
        assert done.wait(20)
    assert opened == [url]
