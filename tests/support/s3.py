"""An S3 server over HTTP on this machine, which counts requests and can be made to fail."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import boto3

from benchmarks.servers import Application, CountedS3, s3_server


class S3Server(CountedS3):
    """A WSGI layer in front of moto that returns errors on demand, and damages objects.

    Attributes:
        url: the endpoint.
    """

    def __init__(self, application: Application) -> None:
        super().__init__(application)
        self._answers: collections.deque[tuple[str, str]] = collections.deque()
        self._damaged: set[str] = set()

    def respond(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            answer = self._answers.popleft() if self._answers else None
        if answer is None and environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"].endswith(tuple(self._damaged)):
            return super().respond(environ, partial(_with_wrong_checksum, start_response))
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

    def damage(self, key: str) -> None:
        """Answer every read of an object with a checksum that its bytes do not have, as S3 does where they were altered."""
        self._damaged.add(key)

    def empty(self, bucket: str) -> None:
        """Delete every object of a bucket, as somebody else would."""
        client = boto3.client("s3", endpoint_url=self.url, region_name="us-east-1")
        for found in client.list_objects_v2(Bucket=bucket).get("Contents", []):
            client.delete_object(Bucket=bucket, Key=found["Key"])

    def create_bucket(self, name: str) -> None:
        """Create a bucket, uncounted, and forget the errors that `answer` still had to return and what was damaged."""
        with self._lock:
            self._answers.clear()
            self._damaged.clear()
        super().create_bucket(name)


def _with_wrong_checksum(start_response: Callable[..., Any], status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
    kept = [(name, value) for name, value in headers if not name.lower().startswith("x-amz-checksum-")]
    return start_response(status, [*kept, ("x-amz-checksum-crc32", "AAAAAA==")], *more)


def moto_server(*buckets: str) -> AbstractContextManager[S3Server]:
    """A server with empty buckets; meanwhile the environment has credentials for it and no others."""
    return s3_server(S3Server, *buckets)
