"""Which tags a filter can ask for: the keys and values of the index that begin with what was typed."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store
from ckptstore.tags.conditions import GREATEST_TEXT
from ckptstore.tags.encoding import Scalar, decode_value, is_abbreviated, path_of, shown_path

# The type letter of encoded texts.
_TEXT = "s"


class TagValues(NamedTuple):
    """Values of a key."""

    values: list[Scalar]
    #: Whether there are more.
    more: bool


def tag_keys_like(store: Store, beginning: str, count: int) -> Steps[list[str]]:
    """The first keys of the index that begin so, as `shown_path` shows them. Very long ones are left out: the index has no more of them."""
    return store.read(partial(_keys, beginning=path_of(beginning), count=count))


def _keys(db: Db, beginning: str, count: int) -> list[str]:
    rows = db.run(sql.tag_completion.keys_from, {"first": beginning, "last": f"{beginning}{GREATEST_TEXT}", "page_size": count})
    return [shown_path(key) for (key,) in rows if not is_abbreviated(key)]


def tag_values_like(store: Store, key: str, beginning: str, count: int) -> Steps[TagValues]:
    """The first values of a key: texts that begin so, or, where nothing was typed, values of every type.

    Args:
        store: the store.
        key: as `tag_keys_like` gives it.
        beginning: of a text.
        count: how many.
    """
    return store.read(partial(_values, key=path_of(key), beginning=beginning, count=count))


def _values(db: Db, key: str, beginning: str, count: int) -> TagValues:
    first = f"{_TEXT}{beginning}" if beginning else ""
    parameters = {"key": key, "first": first, "last": f"{first}{GREATEST_TEXT}", "page_size": count + 1}
    found = [value for (value,) in db.run(sql.tag_completion.values_from, parameters)]
    return TagValues([each for value in found[:count] for each in _decoded(value)], more=len(found) > count)


def _decoded(value: str) -> list[Scalar]:
    try:
        return [] if is_abbreviated(value) else [decode_value(value)]
    except ValueError:
        # That of an empty list or dict, which has no scalar.
        return []
