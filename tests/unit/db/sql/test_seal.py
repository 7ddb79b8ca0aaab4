from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from ckptstore.db.sql.seal import seal, unseal


@pytest.mark.parametrize("dialect", [sqlite.dialect, postgresql.dialect])
def test_every_trigger_is_dropped_again(dialect: Any) -> None:
    made = [each.split()[2] for each in seal(dialect(), None, "it's") if each.startswith("CREATE TRIGGER")]
    dropped = [each.split()[4] for each in unseal(dialect(), None) if each.startswith("DROP TRIGGER")]
    assert made == dropped
    assert len(made) in (2, 6)
