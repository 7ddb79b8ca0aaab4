"""What is made of the answers of a cluster's nodes. Tests with `--citus` ask real ones (`tests/integration/inspection`)."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql import psycopg

from ckptstore.db.shard_health import ShardHealth, read_shard_health
from ckptstore.db.statement import Statements

DIALECT: Dialect = psycopg.dialect()  # type: ignore[no-untyped-call]


def answering(*nodes: list[Any], schema: str | None = None) -> Any:
    """A database whose nodes give these answers; it keeps what they were asked."""
    asked: list[str] = []

    def execute(text: str) -> list[tuple[str]]:
        asked.append(text)
        return [(json.dumps(node),) for node in nodes]

    return SimpleNamespace(execute=execute, statements=Statements(DIALECT, schema), asked=asked)


def test_shards_are_added_up_and_copies_of_a_table_counted_once() -> None:
    first = [["ckpt_thread_102008", 10, 1, 2, 9.0, []], ["ckpt_object_102040", 5, 0, 0, 5.0, []], ["ckpt_tag_102050", 3, 0, 3, -1.0, []]]
    second = [["ckpt_thread_102009", 20, 4, 0, 20.0, []], ["ckpt_object_102040", 5, 7, 0, 5.0, []], ["ckpt_tag_102051", 4, 0, 0, 4.0, []]]
    assert read_shard_health(answering(first, second)) == {
        "ckpt_thread": ShardHealth(live_rows=30, dead_rows=5, changed_rows=2, analysed_rows=29, is_analysed=True),
        "ckpt_object": ShardHealth(live_rows=5, dead_rows=0, changed_rows=0, analysed_rows=5, is_analysed=True),
        "ckpt_tag": ShardHealth(live_rows=7, dead_rows=0, changed_rows=3, analysed_rows=4, is_analysed=False),
    }


def test_an_index_is_invalid_if_it_is_on_one_node() -> None:
    nodes = [["ckpt_object_102040", 5, 0, 0, 5.0, []]], [["ckpt_object_102040", 5, 0, 0, 5.0, ["ckpt_object_by_digest"]]]
    assert read_shard_health(answering(*nodes))["ckpt_object"].invalid_indexes == {"ckpt_object_by_digest"}


def test_the_schema_is_quoted_as_the_driver_takes_it() -> None:
    database = answering([], schema="it's 50%")
    assert read_shard_health(database) == {}
    (text,) = database.asked
    assert "'\"it''s 50%%\".ckpt_thread'::regclass" in text
    assert text.count("%") == 2
