"""A batch as one statement on PostgreSQL: it takes what its parts send, and locks threads in one order."""

from __future__ import annotations

import pytest

from ckptstore.db.sql.batch_parts import BATCH_NEEDS, BATCH_ROWS
from ckptstore.db.sql.batch_postgres import batch_parameters, commit_batch, entry_parameters
from ckptstore.db.sql.routing import TEXTS_OF_TAGS
from ckptstore.db.tag_tables import ON_POSTGRESQL
from tests.support.statements import compiled

PARTS = [*BATCH_ROWS, *BATCH_NEEDS]


@pytest.mark.parametrize("parts", [{"checkpoints"}, {"kept_writes"}, {"checkpoints", "carried", "known"}, set(PARTS)], ids=sorted)
def test_the_statement_takes_exactly_what_its_parts_send(parts: set[str]) -> None:
    sent = entry_parameters([], None).keys() | {name for part in parts for name in batch_parameters(part, [], [])}
    assert compiled("postgresql", commit_batch("postgresql", frozenset(parts))).parameters == sent


@pytest.mark.parametrize("part", PARTS)
def test_only_the_tables_of_its_parts_are_named(part: str) -> None:
    found = compiled("postgresql", commit_batch("postgresql", frozenset({part})))
    table = (BATCH_ROWS.get(part) or BATCH_NEEDS[part])[0]
    assert found.tables == {"ckpt_thread", *(ON_POSTGRESQL.tables.keys() - {"ckpt_tag_value_left"} if part == "tags" else {table.name})}
    of_texts = compiled("postgresql", commit_batch(TEXTS_OF_TAGS, frozenset({part})))
    assert of_texts.tables == {"ckpt_thread", table.name}


def test_rows_of_threads_are_locked_in_the_order_of_their_ids() -> None:
    text = compiled("postgresql", commit_batch("postgresql", frozenset(PARTS))).text
    assert "GROUP BY storable.thread_id ORDER BY storable.thread_id ON CONFLICT" in text


def test_a_checkpoint_that_exists_is_left_for_the_fallback() -> None:
    text = compiled("postgresql", commit_batch("postgresql", frozenset({"checkpoints"}))).text
    assert "DO UPDATE" not in text.partition("INSERT INTO ckpt_checkpoint")[2]
    assert "excluded AS" in text.partition("storable AS")[0]


def test_parameters_are_a_list_for_each_column_and_the_entries_numbers() -> None:
    sent = batch_parameters("known", [("t", "one"), ("u", "two")], [3, 4])
    assert sent == {"known_thread_id": ["t", "u"], "known_digest": ["one", "two"], "known_entry_no": [3, 4]}
