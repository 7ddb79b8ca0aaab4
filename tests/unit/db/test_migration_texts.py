"""The statements that create functions are found in the migrations."""

from __future__ import annotations

import re

import pytest

from ckptstore.db.migration_texts import text_that_creates
from ckptstore.db.sql.batch_function import FUNCTION, HELD_FUNCTION


@pytest.mark.parametrize("function", [FUNCTION, HELD_FUNCTION])
def test_every_function_that_stores_batches_has_a_statement(function: str) -> None:
    text = text_that_creates(function)
    assert text.count("CREATE OR REPLACE FUNCTION") == 1
    assert re.search(rf"CREATE OR REPLACE FUNCTION %1\$I\.{function}\(", text)


def test_one_that_no_migration_creates_is_named() -> None:
    with pytest.raises(LookupError, match="no migration creates ckpt_not_there"):
        text_that_creates("ckpt_not_there")
