from __future__ import annotations

from ckptstore import models
from ckptstore.db.setting_model import Setting


def test_it_is_a_public_model_by_its_name() -> None:
    assert models.Setting is Setting
    assert [column.name for column in Setting.__table__.primary_key] == ["name"]
