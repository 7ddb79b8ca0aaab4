"""The link between checkpoints and channels' values as a table."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from sqlalchemy import select

from ckptstore.db.channel_links import channel_links
from ckptstore.db.models import Base
from tests.support.statements import compiled

CHECKPOINT = Base.metadata.tables["ckpt_checkpoint"]


def test_each_channel_of_each_checkpoint_is_a_row() -> None:
    text = compiled("sqlite", select(channel_links(CHECKPOINT)).order_by("checkpoint_id", "channel")).text
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE ckpt_checkpoint (thread_id, checkpoint_ns, checkpoint_id, channel_versions)")
        rows = [("t", "", "1", '{"a": "v1", "b.c": "v2"}'), ("t", "", "2", "{}"), ("u", "ns", "3", '{"in the body": null}')]
        connection.executemany("INSERT INTO ckpt_checkpoint VALUES (?, ?, ?, ?)", rows)
        assert connection.execute(text).fetchall() == [
            ("t", "", "1", "a", "v1"),
            ("t", "", "1", "b.c", "v2"),
            ("u", "ns", "3", "in the body", None),
        ]


def test_postgresql_has_versions_as_text_too() -> None:
    assert "json_each_text(ckpt_checkpoint.channel_versions)" in compiled("postgresql", select(channel_links(CHECKPOINT))).text
