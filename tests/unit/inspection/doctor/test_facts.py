"""The facts are a record that nobody changes."""

from __future__ import annotations

import dataclasses

import pytest

from tests.support.doctor import facts


def test_facts_stay_as_they_are() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        facts().bytes = 1  # type: ignore[misc]  # what is refused
