"""Values of keys that are hidden."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ckptstore.langgraph.structure.nodes import NotShown, Pairs, Structure, Typed
from ckptstore.langgraph.structure.redaction import NO_REDACTION, REDACTED, Redaction

SECRET = "s3cret"


def found_in(structure: Structure) -> bool:
    return SECRET in repr(structure)


@pytest.mark.parametrize(
    "structure",
    [
        {"password": SECRET},
        {"PassWord": SECRET},
        {"a": [{"password": {"deep": SECRET}}]},
        Typed("m.C", {"password": SECRET}, "fields"),
        Typed("m.C", [{"password": SECRET}], "arguments"),
        Typed("m.C", {"password": SECRET}, "value"),
        Pairs((("password", SECRET), ([1], {"password": SECRET}))),
        # The arguments of a tool.
        {"function": {"arguments": json.dumps({"user": "ann", "password": SECRET})}},
        f' [{{"password": "{SECRET}"}}] ',
    ],
)
def test_the_value_of_a_key_is_hidden_wherever_it_is(structure: Structure) -> None:
    assert found_in(structure)
    assert not found_in(Redaction(["password"]).of(structure))


def test_the_rest_stays_as_it_was() -> None:
    structure = {"user": "ann", 1: [b"x", None, 1.5], "t": Typed("m.C", {"f": {"g": True}}, "fields"), "p": Pairs((([1], 2),))}
    assert Redaction(["password"]).of(structure) == structure
    assert NO_REDACTION.of(structure) is structure


@pytest.mark.parametrize(
    ("pattern", "path", "hides"),
    [
        ("email", ("user", "email"), True),
        ("*mail*", ("user", "Email_address"), True),
        ("user/email", ("user", "email"), True),
        ("user/*", ("user", "address", "street"), True),
        ("user", ("user", "email"), True),
        ("user/email", ("customer", "email"), False),
        ("mail", ("email",), False),
        ("[ab]", ("b",), True),
        ("x", (), False),
    ],
)
def test_patterns(pattern: str, path: tuple[str, ...], hides: bool) -> None:
    assert Redaction([pattern]).hides(path) == hides


def test_a_channel_is_hidden_by_its_name() -> None:
    assert Redaction(["notes"]).of({"any": SECRET}, ("notes",)) == REDACTED


def test_a_key_that_is_no_text_is_compared_as_one() -> None:
    assert Redaction(["7"]).of({7: SECRET}) == {7: REDACTED}


def test_texts_that_are_no_json_stay() -> None:
    redaction = Redaction(["password"])
    for text in ("password: x", '{"password": ', "[" * 5_000, '{"user": 1}'):
        assert redaction.text(text) == text
    assert json.loads(redaction.text('{"password": 1, "ä": 2}')) == {"password": {"$not_shown": "redacted"}, "ä": 2}


def test_deep_values_end() -> None:
    value: Any = SECRET
    for _ in range(900):
        value = [value]
    assert not found_in(Redaction(["password"]).of(value))
    assert isinstance(REDACTED, NotShown)
