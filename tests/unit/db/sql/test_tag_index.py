"""How the databases keep tags: the same questions, three answers."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from ckptstore.db.sql.key_columns import key_in
from ckptstore.db.sql.routing import TEXTS_OF_TAGS
from ckptstore.db.sql.tables import CHECKPOINT, CHECKPOINT_KEY, THREAD
from ckptstore.db.sql.tag_layouts import index_of
from tests.support.statements import compiled

OF_THREADS = {"sqlite": {"ckpt_tag_thread"}, "postgresql": {"ckpt_tag_thread"}, TEXTS_OF_TAGS: set[str]()}


@pytest.fixture(params=OF_THREADS)
def kind(request: pytest.FixtureRequest) -> str:
    """The name of a dialect, or what statements get in place of it."""
    name: str = request.param
    return name


@pytest.mark.parametrize("names", [("thread_id",), CHECKPOINT_KEY])
def test_a_key_has_columns_of_the_index(kind: str, names: tuple[str, ...]) -> None:
    index = index_of(kind)
    assert {*index.columns_of(names)} <= {*index.tags.c}


def test_rows_are_joined_with_the_keys_of_their_checkpoints(kind: str) -> None:
    index = index_of(kind)
    rows, key = index.with_threads(index.tags)
    assert compiled(kind, select(key.thread_id, key.checkpoint_id).select_from(rows)).tables == {index.tags.name} | OF_THREADS[kind]


def test_threads_have_numbers_where_tags_name_them_so(kind: str) -> None:
    index = index_of(kind)
    threads, number = index.with_number(THREAD)
    assert compiled(kind, select(THREAD.c.thread_id).select_from(threads)).tables == {THREAD.name} | OF_THREADS[kind]
    assert (number is None) == (kind == TEXTS_OF_TAGS)
    found = select(*index.columns_of(("thread_id",))).subquery("found")
    assert compiled(kind, index.thread_ids(found)).tables == {index.tags.name} | OF_THREADS[kind]


def test_a_checkpoint_is_probed_by_its_own_key(kind: str) -> None:
    index = index_of(kind)
    probe = index.tags.alias("probe")
    rows, same = index.of_checkpoint(probe, key_in(CHECKPOINT))
    found = compiled(kind, select(next(iter(probe.c))).select_from(rows).where(*same))
    assert found.tables == {index.tags.name, CHECKPOINT.name} | OF_THREADS[kind]
