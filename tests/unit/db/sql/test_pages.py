"""Pages of a listing: from each source the newest first, under all that restricts it."""

from __future__ import annotations

import pytest

from ckptstore.db.sql import pages
from ckptstore.db.sql.pages import ORDER, Shape
from ckptstore.langgraph.format import LANGGRAPH
from tests.support.statements import compiled

SOURCES = ["checkpoints", "tags", "list", "span", "span and below", "time"]


@pytest.mark.parametrize("source", SOURCES)
def test_a_page_is_newest_first_and_shows_nothing_hidden(kind: str, source: str) -> None:
    given = frozenset({"created_after"}) if source == "time" else frozenset[str]()
    found = compiled(kind, pages.page(kind, Shape(source, given=given)))
    ordered = found.text.rpartition("ORDER BY")[2]
    assert [part.rpartition(".")[2].partition(" ")[0] for part in ordered.split(" DESC")[:3]] == list(ORDER)
    assert "hidden IS " in found.text
    assert "page_size" in found.parameters


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("given", ["thread_id", "checkpoint_ns", "before", "created_after", "created_before"])
def test_what_is_given_is_a_parameter_of_every_source(kind: str, source: str, given: str) -> None:
    assert given in compiled(kind, pages.page(kind, Shape(source, given=frozenset({given})))).parameters


def test_further_conditions_are_probed_by_key(kind: str) -> None:
    found = compiled(kind, pages.page(kind, Shape("tags", required=(False, True), forbidden=1)))
    assert {"has_0_key", "has_0_value", "has_1_key", "has_1_values", "excluded_0_key", "excluded_0_value"} <= found.parameters
    assert found.text.count("EXISTS") == 3
    assert found.text.count("NOT (EXISTS") == 1


def test_several_streams_are_merged(kind: str) -> None:
    found = compiled(kind, pages.page(kind, Shape("tags", streams=3)))
    assert {f"source_value_{number}" for number in range(3)} <= found.parameters
    assert found.text.count("UNION ALL") == 2


def test_a_page_continues_after_a_whole_key(kind: str) -> None:
    found = compiled(kind, pages.page(kind, Shape(given=frozenset({"after"}))))
    assert {f"after_{name}" for name in ORDER} <= found.parameters


def test_pages_come_whole_or_as_metadata(kind: str) -> None:
    whole = compiled(kind, pages.page_whole(kind, Shape(), LANGGRAPH))
    assert whole.tables == {"ckpt_checkpoint", "ckpt_channel", "ckpt_write", "ckpt_segment"}
    assert compiled(kind, pages.page_metadata(kind, Shape())).tables == {"ckpt_checkpoint"}


def test_candidates_are_counted_up_to_a_bound(kind: str) -> None:
    counts = [
        pages.count_of_thread(kind),
        pages.count_of_time(kind, frozenset({"created_before"})),
    ]
    for count in counts:
        found = compiled(kind, count)
        assert "bound" in found.parameters
        assert "LIMIT" in found.text


def test_a_page_of_a_whole_thread_is_read_namespace_by_namespace(kind: str) -> None:
    whole = compiled(kind, pages.page(kind, Shape(given=frozenset({"thread_id", "before"}), forbidden=1)))
    assert whole.text.startswith("WITH RECURSIVE namespaces")
    assert {"thread_id", "before", "excluded_0_key", "page_size"} <= whole.parameters
    one = compiled(kind, pages.page(kind, Shape(given=frozenset({"thread_id", "checkpoint_ns"}))))
    assert "RECURSIVE" not in one.text
