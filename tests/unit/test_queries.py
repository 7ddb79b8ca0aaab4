"""What tags can't decide is refused when a statement is built."""

from __future__ import annotations

import pytest

from ckptstore import TagKeys
from ckptstore.errors import InvalidFilter, KeyNotIndexed
from ckptstore.queries import select_checkpoints, select_threads


def test_what_tags_can_not_decide_is_refused() -> None:
    with pytest.raises(InvalidFilter, match="'deep'"):
        select_checkpoints({"deep": {}})
    with pytest.raises(KeyNotIndexed, match="'user'"):
        select_threads({"user": "ada"}, tag_keys=TagKeys(exclude=("user",)))
