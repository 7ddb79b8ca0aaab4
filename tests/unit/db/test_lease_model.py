"""The model of the table of leases and the class that users import."""

from __future__ import annotations

from ckptstore import models
from ckptstore.db.lease_model import Lease


def test_it_is_among_the_models_and_its_key_begins_with_the_thread() -> None:
    assert models.Lease is Lease
    assert [column.name for column in Lease.__table__.primary_key] == ["thread_id", "place"]
