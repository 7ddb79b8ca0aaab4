"""Where every statement goes on a database that keeps each thread on one of several shards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest
from sqlalchemy import ClauseElement, Dialect, Select
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql import visitors

from ckptstore.db import sql
from ckptstore.db.models import Base
from ckptstore.db.sql.routing import PER_THREAD, SCATTERED, TEXTS_OF_TAGS, Route, _final_froms, route_of, routed
from tests.support.shapes import ARGUMENTS, StatementShape, builders_of, is_statement, statement_shapes

DIALECT: Dialect = asyncpg.dialect()  # type: ignore[no-untyped-call]

NO_THREAD_GIVEN = "a search or a listing over all threads"
POLICY = "finds the threads that a policy may delete from"
OBJECTS = "which threads refer to an object is in no table"
SAMPLE = "counts over all threads, or over a sample of them"
UPKEEP = "reads all threads one after the other"
NAMES = "names the tables only as texts"
NOT_THERE = "not executed where rows of several threads can't be joined freely"

#: The statements that go to every shard, and why.
TO_EVERY_SHARD = {
    "checks.missing_privileges": NAMES,
    "checks.newest_activity": UPKEEP,
    "meetings.next_meeting": NOT_THERE,
    "meetings.posting_after": NOT_THERE,
    "objects.mark_objects": OBJECTS,
    "objects.referenced_among": OBJECTS,
    "objects.referred_to_objects": OBJECTS,
    "objects.start_deleting": OBJECTS,
    "objects.unmark_objects": OBJECTS,
    "objects.unreferenced_objects": OBJECTS,
    "pages.count_of_time": NO_THREAD_GIVEN,
    "pages.count_off_time": NO_THREAD_GIVEN,
    "pages.page_keys": NO_THREAD_GIVEN,
    "pages.page_metadata": NO_THREAD_GIVEN,
    "pages.page_whole": NOT_THERE,
    "postings.checkpoints_with_postings": NO_THREAD_GIVEN,
    "postings.count_of_postings": NO_THREAD_GIVEN,
    "postings.weights_of_postings": NOT_THERE,
    "prune.idle_threads": POLICY,
    "prune.long_threads": POLICY,
    "prune.old_checkpoints": POLICY,
    "prune.references_to_objects": OBJECTS,
    "prune.threads_with_orphaned_writes": POLICY,
    "settings_table.any_checkpoint": UPKEEP,
    "stats.bodies_of_threads": SAMPLE,
    "stats.bytes_by_day": SAMPLE,
    "stats.checkpoints_by_day": SAMPLE,
    "stats.every_nth_thread": SAMPLE,
    "stats.health_of_tables": NAMES,
    "stats.index_names": NAMES,
    "stats.largest_threads": SAMPLE,
    "stats.newest_metadata": SAMPLE,
    "stats.objects_of_threads": SAMPLE,
    "stats.segments_of_threads": SAMPLE,
    "stats.tables_in_catalogue": NAMES,
    "stats.totals": SAMPLE,
    "stats.values_of_threads": SAMPLE,
    "stats.writes_of_threads": SAMPLE,
    "tag_completion.keys_from": NO_THREAD_GIVEN,
    "tag_completion.values_from": NO_THREAD_GIVEN,
    "tag_keys.keys_in_use": NO_THREAD_GIVEN,
    "threads.metadata_of_threads": NO_THREAD_GIVEN,
    "threads.page_of_threads": NO_THREAD_GIVEN,
    "threads.threads_after": UPKEEP,
    "transfer.page_of_threads": UPKEEP,
    "transfer.totals_of_threads": UPKEEP,
    "transfer.unreferenced_objects": OBJECTS,
    "vacuum.table_bytes": NAMES,
    "verify.incomplete_checkpoints": UPKEEP,
    "verify.metadata_after": UPKEEP,
    "verify.missing_segments": UPKEEP,
    "verify.needed_among": OBJECTS,
    "verify.rows_after": UPKEEP,
    "verify.segments_after": UPKEEP,
    "verify.sizes_after": UPKEEP,
    "verify.wrong_counts": UPKEEP,
}

SHAPES = list(statement_shapes())
_SOURCE = re.compile(r"(?:FROM|JOIN|UPDATE|USING|,) +(ckpt_\w+)\b(?![.])(?: AS (\w+))?")


@cache
def built(shape: StatementShape) -> ClauseElement:
    return shape.build(TEXTS_OF_TAGS, *shape.arguments)


@cache
def route(shape: StatementShape) -> Route:
    return route_of(built(shape).compile(dialect=DIALECT))


def text_of(shape: StatementShape) -> str:
    return " ".join(str(routed(built(shape)).compile(dialect=DIALECT)).split())


def unrestricted(text: str) -> Iterator[str]:
    """The tables of threads that a statement reads or changes without naming the thread, by their names in it."""
    body = re.sub(r"INSERT INTO ckpt_\w+", "", text)
    sources = [(table, alias or table) for table, alias in _SOURCE.findall(body) if table in PER_THREAD]
    for name in {name for _, name in sources}:
        read = sum(1 for _, each in sources if each == name)
        if len(re.findall(rf"\b{name}\.thread_id = \$\d+::VARCHAR(?! COLLATE)", body)) < read:
            yield name


@pytest.mark.parametrize("module", sorted({shape.module for shape in SHAPES}))
def test_every_statement_names_its_thread_or_is_known_to_go_to_every_shard(module: str) -> None:
    shapes = [shape for shape in SHAPES if shape.module == module]
    for shape in shapes:
        if route(shape) in (Route.ONE_THREAD, Route.EACH_THREAD):
            assert list(unrestricted(text_of(shape))) == [], str(shape)
    known = {name for name in TO_EVERY_SHARD if name.startswith(f"{module}.")}
    assert {shape.name for shape in shapes if route(shape) is Route.SCATTERED} == known


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM ckpt_write WHERE ckpt_write.idx = $1::BIGINT",
        "SELECT * FROM ckpt_write AS w JOIN ckpt_thread ON true WHERE w.thread_id = $1::VARCHAR",
        "DELETE FROM ckpt_tag USING (SELECT 1) AS given WHERE ckpt_tag.thread_id = given.thread_id",
        "UPDATE ckpt_thread SET size=(SELECT 1 FROM ckpt_checkpoint) WHERE ckpt_thread.thread_id = $1::VARCHAR",
    ],
)
def test_a_table_without_the_thread_is_noticed(text: str) -> None:
    assert len(list(unrestricted(text))) == 1


def test_a_thread_is_named_once_for_each_time_that_a_table_is_read() -> None:
    twice = "SELECT (SELECT 1 FROM ckpt_tag), (SELECT 2 FROM ckpt_tag WHERE ckpt_tag.thread_id = $1::VARCHAR)"
    assert list(unrestricted(twice)) == ["ckpt_tag"]


def test_no_statement_is_left_out() -> None:
    built = {shape.name for shape in SHAPES}
    for name in sql.__all__:
        assert {f"{name}.{each}" for each, _ in builders_of(getattr(sql, name)) if is_statement(name, each)} <= built
    assert {build.__name__ for build in ARGUMENTS} <= {name.partition(".")[2] for name in built}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("threads.lock_thread", Route.ONE_THREAD),
        ("prune.delete_values", Route.EACH_THREAD),
        ("insert.insert_values", Route.ITS_ROWS),
        ("pages.page_keys", Route.ONE_THREAD),
        ("pages.page_keys", Route.SCATTERED),
        ("objects.confirm_live", Route.NO_THREAD),
    ],
)
def test_routes(name: str, expected: Route) -> None:
    assert expected in {route(shape) for shape in SHAPES if shape.name == name}


def test_a_select_has_the_sources_that_sqlalchemy_finds() -> None:
    some = {shape.name: shape for shape in SHAPES if shape.module in ("delete", "objects")}
    selects = [each for shape in some.values() for each in visitors.iterate(built(shape)) if isinstance(each, Select)]
    assert len(selects) > 5
    for select in selects:
        assert list(map(str, _final_froms(select))) == list(map(str, select.get_final_froms()))


def test_every_table_of_threads_begins_with_the_thread_or_names_it_in_its_key() -> None:
    assert {table for table in PER_THREAD if "thread_id" not in Base.metadata.tables[table].primary_key.columns} == set()


def test_statements_for_every_shard_have_no_look_ups_that_citus_refuses() -> None:
    for shape in SHAPES:
        if TO_EVERY_SHARD.get(shape.name, NOT_THERE) is not NOT_THERE and route(shape) is Route.SCATTERED:
            text = str(shape.build(SCATTERED, *shape.arguments).compile(dialect=DIALECT))
            assert "OFFSET" not in text, str(shape)
            assert "RECURSIVE" not in text, str(shape)
