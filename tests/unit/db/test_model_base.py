"""The models say of their tables' columns what these are."""

from __future__ import annotations

import types
from typing import Any, get_args, get_type_hints

import pytest
from sqlalchemy import inspect

from ckptstore import models
from ckptstore.db.model_base import Base
from ckptstore.db.tables import METADATA

MODELS = [each for each in vars(models).values() if isinstance(each, type) and issubclass(each, Base) and each is not Base]


def test_every_table_has_a_model() -> None:
    assert {each.__table__.description for each in MODELS} == set(METADATA.tables)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_names_each_column_of_its_table_and_whether_it_may_be_null(model: type[Base]) -> None:
    # SQLAlchemy leaves out, without a word, what a model names and its table has not.
    mapper = inspect(model)
    hints = {name: get_args(hint)[0] for name, hint in get_type_hints(model).items() if name not in mapper.relationships}
    said = {name: _may_be_none(hints[name]) for name in hints if name not in get_type_hints(Base)}
    assert said == {each.key: each.columns[0].nullable for each in mapper.column_attrs}


def _may_be_none(hint: Any) -> bool:
    return isinstance(hint, types.UnionType) and type(None) in get_args(hint)
