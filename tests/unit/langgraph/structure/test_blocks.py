"""Structures as lines."""

from __future__ import annotations

from ckptstore.langgraph.structure.blocks import Limits, block
from ckptstore.langgraph.structure.nodes import Structure, Typed

LIMITS = Limits(elements=4, text=100, depth=4)


def lines(structure: Structure, width: int = 40) -> list[str]:
    return list(block(structure, width, LIMITS))


def test_what_fits_is_on_a_line() -> None:
    assert lines({"a": [1, 2]}) == ["{a: [1, 2]}"]


def test_what_does_not_fit_has_an_element_on_a_line() -> None:
    assert lines({"first": "x" * 20, "second": [1, 2, 3], "third": {"inner": "y" * 40}}) == [
        'first: "xxxxxxxxxxxxxxxxxxxx"',
        "second: [1, 2, 3]",
        "third:",
        "  inner:",
        f"    {'y' * 36}",
        f"    {'y' * 4}",
    ]


def test_an_object_has_its_fields() -> None:
    found = lines(Typed("a.Point", {"x": 1, "label": "z" * 30}, "fields"))
    assert found == ["Point:", "  x: 1", "  label:", f'    "{"z" * 30}"']


def test_long_lists_and_texts_are_shortened_in_the_middle_and_at_the_end() -> None:
    assert lines(list(range(1_000))) == ["- 0", "- 1", "… 996 more", "- 998", "- 999"]
    assert lines("word " * 100)[-1] == "… 400 more characters"


def test_a_message_is_wrapped() -> None:
    fields = {"content": "a long answer " * 5, "type": "ai", "additional_kwargs": {}, "response_metadata": {}}
    found = lines(Typed("langchain_core.messages.ai.AIMessage", fields, "fields"))
    assert found[0].startswith("ai: a long answer")
    assert all(len(line) <= 40 for line in found)


def test_depth_is_bounded() -> None:
    deep: Structure = "z" * 90
    for _ in range(1_000):
        deep = [deep]
    assert len(lines(deep)) < 10
