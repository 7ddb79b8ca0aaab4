"""What all parts of the saver share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore import SQLAlchemySaver
from ckptstore.errors import NotEncrypted
from ckptstore.langgraph.base import utc_now


@pytest.fixture(params=[False, True])
def saver(request: pytest.FixtureRequest) -> Iterator[SQLAlchemySaver]:
    serde = EncryptedSerializer.from_pycryptodome_aes(key=b"k" * 16)
    with SQLAlchemySaver.from_conn_string(":memory:", serde=serde, allow_plain=request.param) as saver:
        yield saver


def test_plain_values_are_read_under_encryption_only_if_allowed(saver: SQLAlchemySaver) -> None:
    plain = JsonPlusSerializer().dumps_typed("text")
    if saver._allow_plain:
        assert saver._reading_serde.loads_typed(plain) == "text"
    else:
        with pytest.raises(NotEncrypted):
            saver._reading_serde.loads_typed(plain)


def test_a_clone_with_another_serialiser_reads_with_that_one(saver: SQLAlchemySaver) -> None:
    saver.serde = JsonPlusSerializer()
    assert saver._reading_serde.loads_typed(saver.serde.dumps_typed("text")) == "text"


def test_times_are_the_clocks(saver: SQLAlchemySaver) -> None:
    assert utc_now().tzinfo is UTC
    saver.clock = lambda: datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert saver._now() == 2_000_000
