"""The nodes of structures."""

from __future__ import annotations

import pytest

from ckptstore.langgraph.structure.nodes import Structure, Typed


@pytest.mark.parametrize(("content", "form", "fields"), [({"x": 1}, "fields", {"x": 1}), ([1], "arguments", {}), ({"x": 1}, "value", {})])
def test_only_fields_are_fields(content: Structure, form: str, fields: object) -> None:
    typed = Typed("my.app.Point", content, form)  # type: ignore[arg-type]
    assert (typed.name, typed.fields) == ("Point", fields)
