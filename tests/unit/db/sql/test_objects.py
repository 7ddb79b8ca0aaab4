"""Statements of the collector and of writers: states change only from where they may, and under the same conditions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import ClauseElement

from ckptstore.db.sql import objects
from tests.support.statements import compiled

UNREFERENCED = "NOT (EXISTS (SELECT * FROM ckpt_segment WHERE ckpt_segment.object_key = ckpt_object.key))"


@pytest.mark.parametrize(
    ("build", "state", "conditions"),
    [
        (objects.confirm_live, "live", ["NOT IN ('deleting')"]),
        (objects.mark_objects, "marked", ["'pending', 'live'", "changed_at <", UNREFERENCED]),
        (objects.unmark_objects, "live", ["'marked'", UNREFERENCED.removeprefix("NOT (").removesuffix(")")]),
        (objects.start_deleting, "deleting", ["'marked'", UNREFERENCED]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_state_changes_only_under_its_conditions(
    kind: str, build: Callable[[str], ClauseElement], state: str, conditions: list[str]
) -> None:
    found = compiled(kind, build(kind))
    assert f"SET state='{state}'" in found.text
    before, _, after = found.text.partition("WHERE")
    assert [condition for condition in conditions if condition not in after.replace("!= 'deleting'", "NOT IN ('deleting')")] == []
    # Whoever changed a row learns so, and when it was changed is recorded.
    assert "changed_at=" in before
    assert "RETURNING" in after


def test_rows_of_objects_are_locked_in_the_order_of_their_keys(kind: str) -> None:
    text = compiled(kind, objects.lock_objects(kind)).text
    assert "ORDER BY ckpt_object.key" in text
    assert text.endswith("FOR UPDATE") == (kind == "postgresql")


def test_a_row_is_dropped_only_after_its_content(kind: str) -> None:
    text = compiled(kind, objects.drop_objects(kind)).text
    assert text.startswith("DELETE FROM ckpt_object WHERE")
    assert "'deleting'" in text


def test_a_writer_refers_to_nothing_that_is_pending_or_being_deleted(kind: str) -> None:
    found = compiled(kind, objects.objects_with_digests(kind))
    assert "'live', 'marked'" in found.text
    assert found.parameters == ({"keys"} if kind == "sqlite" else {"keys_digest"})
    assert "created_at DESC" in found.text


@pytest.mark.parametrize("page", ["unreferenced", "in state"])
def test_pages_continue_after_a_key_and_leave_the_young_alone(kind: str, page: str) -> None:
    statement = objects.unreferenced_objects(kind) if page == "unreferenced" else objects.objects_in_state(kind, "marked")
    found = compiled(kind, statement)
    assert found.parameters == {"after", "before", "page_size"}
    assert "ORDER BY ckpt_object.key" in found.text
