"""Every statement is looked at as each kind of database gets it."""

from __future__ import annotations

import pytest

from tests.support.statements import KINDS


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The name of a dialect."""
    name: str = request.param
    return name
