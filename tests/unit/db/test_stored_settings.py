"""Settings that were altered are refused by their names."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore.db.stored_settings import formed
from ckptstore.errors import DatabaseCorrupt


def test_a_setting_has_the_form_that_its_reader_gives_it() -> None:
    assert formed("blobs", '{"url": "here"}', lambda stored: stored["url"]) == "here"


@pytest.mark.parametrize("text", ["5", "null", "{", "[1]", "{}", "[" * 100_000])
def test_another_form_is_refused_by_name(text: str) -> None:
    def form(stored: dict[str, Any]) -> Any:
        return stored["url"]

    with pytest.raises(DatabaseCorrupt, match="the setting 'blobs' in the database was altered"):
        formed("blobs", text, form)
