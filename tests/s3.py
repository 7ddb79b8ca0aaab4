"""An S3 over real HTTP on this machine, which counts what it is asked and fails when told to."""

from __future__ import annotations

import collections
import os
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
# Whatever this machine's owner has set up must not reach a test.
_OTHERS = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ENDPOINT_URL", "AWS_REGION")


class S3Server:
    """A WSGI layer before moto.

    Attributes:
        url: the endpoint.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.url = ""
        self._application = application
        self._lock = threading.Lock()
        self._requests: list[str] = []
        self._answers: collections.deque[tuple[str, str]] = collections.deque()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            self._requests.append(environ["REQUEST_METHOD"])
            answer = self._answers.popleft() if self._answers else None
        if answer is None:
            return self._application(environ, start_response)
        # A body left unread would be taken for the next request on this connection.
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response(answer[0], [("Content-Type", "application/xml")])
        return [f"<Error><Code>{answer[1]}</Code><Message>as the test said</Message></Error>".encode()]

    def answer(self, status: str, code: str, *, times: int = 1) -> None:
        """Answer the next requests with an error, e.g. `503 Slow Down` and `SlowDown`."""
        with self._lock:
            self._answers.extend([(status, code)] * times)

    def take_requests(self) -> collections.Counter[str]:
        """How often each HTTP method was asked since the last `take_requests`."""
        with self._lock:
            requests, self._requests = self._requests, []
        return collections.Counter(requests)

    def create_bucket(self, name: str) -> None:
        """Create a bucket; not counted, and what `answer` left over is forgotten."""
        with self._lock:
            self._answers.clear()
        boto3.client("s3", endpoint_url=self.url, region_name="us-east-1").create_bucket(Bucket=name)
        self.take_requests()

    def bucket_url(self, name: str, prefix: str = "blobs") -> str:
        """The blob URL of a prefix in a bucket on this server."""
        return f"s3://{name}/{prefix}?endpoint_url={self.url}"


@contextmanager
def moto_server(*buckets: str) -> Iterator[S3Server]:
    """A server with empty buckets; the environment holds credentials for it, and no others, meanwhile."""
    server = S3Server(DomainDispatcherApplication(create_backend_app))
    before = dict(os.environ)
    http = make_server("127.0.0.1", 0, server, threaded=True, request_handler=_Quiet)
    worker = threading.Thread(target=http.serve_forever, daemon=True)
    worker.start()
    try:
        for name in _OTHERS:
            os.environ.pop(name, None)
        os.environ.update(_ENVIRONMENT, AWS_EC2_METADATA_DISABLED="true")
        server.url = f"http://127.0.0.1:{http.server_port}"
        # moto's buckets are the process's: another server's must not show through.
        _reset(server.url)
        for bucket in buckets:
            server.create_bucket(bucket)
        yield server
    finally:
        os.environ.clear()
        os.environ.update(before)
        http.shutdown()
        worker.join()
        http.server_close()


def _reset(url: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")) as answer:
        assert answer.status == 200


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_args: object, **_more: object) -> None:
        """Say nothing."""
