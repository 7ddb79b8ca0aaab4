"""The model of the load table and the class that users import."""

from __future__ import annotations

from ckptstore import models
from ckptstore.db.load_model import Load


def test_it_is_among_the_models_and_its_key_begins_with_the_time() -> None:
    assert models.Load is Load
    assert [column.name for column in Load.__table__.primary_key] == ["started_at", "process"]
