"""Stores to inspect."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from ckptstore import SQLAlchemySaver
from tests.support.conversations import converse
from tests.support.inspector import inspecting


@pytest.fixture
def conversation(sqlite_url: str) -> str:
    """A store with the thread `ann`: a fork, subgraphs, interrupts, a file."""
    with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        converse(saver)
    return sqlite_url


@pytest.fixture
def client(conversation: str) -> Iterator[TestClient]:
    with inspecting(conversation) as client:
        yield client
