from __future__ import annotations

from ckptstore import models
from ckptstore.db.content_model import ObjectContent


def test_it_is_a_public_model_by_the_key_of_its_object() -> None:
    assert models.ObjectContent is ObjectContent
    assert [column.name for column in ObjectContent.__table__.primary_key] == ["key"]
