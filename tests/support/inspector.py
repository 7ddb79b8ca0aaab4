"""An inspector on a database of the tests: asked without a socket, or served."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from queue import Queue
from typing import Any
from unittest.mock import patch

import uvicorn
from langgraph.checkpoint.serde.base import SerializerProtocol
from starlette.testclient import TestClient

from ckptstore.blobs.settings import BlobSettings
from ckptstore.db.open_read_only import open_read_only
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import default_blob_url, parse_database_url
from ckptstore.inspector import server
from ckptstore.inspector.addresses import LOOPBACK, AllowedHosts, listen
from ckptstore.inspector.app import make_app
from ckptstore.inspector.context import Inspector
from ckptstore.inspector.guard import Access
from ckptstore.inspector.store_options import store_options
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.langgraph.structure.reading import decrypting
from ckptstore.langgraph.structure.redaction import Redaction
from ckptstore.store.store import Store

PORT = 8713
ACCESS = Access()


@contextmanager
def reading_store(url: str, **settings: Any) -> Iterator[Store]:
    """A store that can only be read."""
    made = DatabaseSettings(**settings)
    runner = open_read_only(parse_database_url(url), made)
    blobs = default_blob_url(runner.url)
    store = Store(runner, made, blobs=blobs, blob_settings=BlobSettings(), upgrade=False, tag_keys=None, state_format=LANGGRAPH)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def inspecting(
    url: str, redact: Sequence[str] = (), serde: SerializerProtocol | None = None, now: datetime | None = None
) -> Iterator[TestClient]:
    """A client that has the cookie of an inspector."""
    with reading_store(url) as store:
        decrypt = None if serde is None else decrypting(serde)
        options = store_options(store.runner.url, None, store.objects.location.url)
        inspector = Inspector(store, "the store", decrypt, Redaction(redact), options, lambda: now or datetime.now(UTC))
        app = make_app(inspector, ACCESS, AllowedHosts(PORT))
        with TestClient(app, base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False) as client:
            client.get("/", params={"token": ACCESS.token})
            yield client


@contextmanager
def serving(url: str, redact: Sequence[str] = (), *, browser: bool = False) -> Iterator[str]:
    """A server in a thread; gives the URL that it would print."""
    made: Queue[uvicorn.Server] = Queue()
    plain = uvicorn.Server

    def remember(config: uvicorn.Config) -> uvicorn.Server:
        created = plain(config)
        made.put(created)
        return created

    access = Access()
    with reading_store(url) as store, listen(LOOPBACK, 0, allow_remote=False) as listening, patch.object(uvicorn, "Server", remember):
        options = store_options(store.runner.url, None, store.objects.location.url)
        arguments = (Inspector(store, "the store", None, Redaction(redact), options), listening, LOOPBACK, access)
        thread = threading.Thread(target=server.serve, args=arguments, kwargs={"allow_remote": False, "browser": browser})
        thread.start()
        try:
            yield server.url_of(listening, LOOPBACK, access)
        finally:
            made.get(timeout=20).should_exit = True
            thread.join()


def text_of(html: str) -> str:
    """The text of a page, without its elements, with single spaces."""
    found = re.sub(r"<[^>]*>", " ", html)
    for code, character in (("&#39;", "'"), ("&#34;", '"'), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        found = found.replace(code, character)
    return " ".join(found.split())


def links_of(html: str, pattern: str) -> list[str]:
    """The addresses in a page that match."""
    found = [address.replace("&amp;", "&") for address in re.findall(r'(?:href|src)="([^"]*)"', html)]
    return [address for address in found if re.search(pattern, address)]
