"""Conditions on the tag index: what a metadata filter asks of the postings of a checkpoint."""

from __future__ import annotations

from typing import NamedTuple

#: Sorts after every key and every value of the tag index.
GREATEST_TEXT = "\U0010ffff"


class ValueIn(NamedTuple):
    """A condition on a checkpoint: it has a posting with this key and one of these values."""

    key: str
    values: tuple[str, ...]


class ValueRange(NamedTuple):
    """A condition on a checkpoint: it has a posting with this key and a value `low <= value < high`."""

    key: str
    low: str = ""
    high: str = GREATEST_TEXT
    #: Whether a posting of a key nested below `key` satisfies the condition too.
    include_nested: bool = False


def keys_below(key: str) -> tuple[str, str]:
    """The first key that can be nested below a key, and the first one after all of those."""
    # Keys that start with the key and a slash sort before the key followed by `0`, the character after the slash.
    return f"{key}/", f"{key}0"
