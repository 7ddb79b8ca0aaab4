"""An S3 server over HTTP on this machine, which counts requests and can be made to fail."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from benchmarks.servers import Application, CountedS3, s3_server


class S3Server(CountedS3):
    """A WSGI layer in front of moto that returns errors on demand.

    Attributes:
        url: the endpoint.
    """

    def __init__(self, application: Application) -> None:
        super().__init__(application)
        self._answers: collections.deque[tuple[str, str]] = collections.deque()

    def respond(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            answer = self._answers.popleft() if self._answers else None
        if answer is None:
            return super().respond(environ, start_response)
        # An unread body would be parsed as the next request on this connection.
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response(answer[0], [("Content-Type", "application/xml")])
        return [f"<Error><Code>{answer[1]}</Code><Message>as the test said</Message></Error>".encode()]

    def answer(self, status: str, code: str, *, times: int = 1) -> None:
        """Answer the next requests with an error, e.g. `503 Slow Down` and `SlowDown`."""
        with self._lock:
            self._answers.extend([(status, code)] * times)

    def create_bucket(self, name: str) -> None:
        """Create a bucket, uncounted, and discard the errors that `answer` still had to return."""
        with self._lock:
            self._answers.clear()
        super().create_bucket(name)


def moto_server(*buckets: str) -> AbstractContextManager[S3Server]:
    """A server with empty buckets; meanwhile the environment has credentials for it and no others."""
    return s3_server(S3Server, *buckets)
