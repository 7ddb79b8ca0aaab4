"""Encode metadata as postings of an inverted index.

A posting is a key path and a typed value, both encoded as text whose byte order is the order of the values:

- a path is a JSON pointer without its first slash (RFC 6901), so a dot in a key is a dot; `~2` stands for the entries of a list;
- a value is a letter for its type, followed by its text; numbers sort as numbers, `3` equals `3.0`, and `True` is not `1`.

A dict or list has one posting for each scalar in it; an empty one has a posting of its own, so that it can be found too.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from ckptstore.records import Posting
from ckptstore.tags.keys import EVERYTHING, TagKeys
from ckptstore.tags.metadata_json import storable_text

# PostgreSQL refuses index rows of more than 2,704 bytes; a key and a value of this length (characters) stay well below together.
MAX_TEXT_LENGTH = 200
_IN_LIST = "~2"
_EMPTY = "e"

Scalar = str | int | float | bool | None

_SCALARS = frozenset((str, int, float, bool, type(None)))


def postings(metadata: Mapping[str, Any], tag_keys: TagKeys = EVERYTHING, unindexed_when_empty: str | None = None) -> frozenset[Posting]:
    """The postings of one checkpoint's metadata: one for each scalar at any depth, and one for each empty list or dict.

    Args:
        metadata: JSON values only.
        tag_keys: which keys are indexed.
        unindexed_when_empty: the key that has no posting while its value is empty, see `StateFormat`.
    """
    found: set[Posting] = set()
    for key, value in metadata.items():
        path = _escaped(key if type(key) is str else str(key))
        if type(value) in _SCALARS:
            if tag_keys is EVERYTHING or tag_keys.is_indexed(path):
                is_long = type(value) is str and len(value) > MAX_TEXT_LENGTH
                found.add(_posting(path, value) if is_long else _cached_posting(path, value))
        elif value or key != unindexed_when_empty:
            found.update(Posting(abbreviate(inner), text) for inner, text in _postings(path, value) if tag_keys.is_indexed(inner))
    return frozenset(found)


def _posting(path: str, value: Scalar) -> Posting:
    return Posting(abbreviate(path), encode_value(value))


# Most tags of an application recur in every checkpoint. Typed, because `True` is not `1`.
_cached_posting = lru_cache(maxsize=4096, typed=True)(_posting)


def _postings(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _postings(child_path(path, key), inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _postings(list_path(path), inner)
    else:
        yield path, encode_value(value)
    if isinstance(value, (Mapping, list, tuple)) and not value:
        yield path, _EMPTY


def list_path(path: str) -> str:
    """The path of the entries of the list at a path."""
    return f"{path}/{_IN_LIST}"


def is_single_valued(path: str) -> bool:
    """Whether no checkpoint has two postings at a path, because it leads into no list; False where an abbreviation hides that."""
    return _IN_LIST not in path and len(path) <= MAX_TEXT_LENGTH


def child_path(path: str | None, key: object) -> str:
    """The path of a key of the dict at a path; the path None is the metadata itself."""
    escaped = _escaped(key if isinstance(key, str) else str(key))
    return escaped if path is None else f"{path}/{escaped}"


# Every checkpoint of an application has the same few keys.
@lru_cache(maxsize=4096)
def _escaped(key: str) -> str:
    return storable_text(key).replace("~", "~0").replace("/", "~1")


def readable_path(path: str) -> str:
    """A path as a message shows it: keys separated by slashes, without the entries of lists."""
    return "/".join(part.replace("~1", "/").replace("~0", "~") for part in path.split("/") if part != _IN_LIST)


def abbreviate(text: str) -> str:
    """A text that fits into an index row: a long text is replaced by its beginning and a digest."""
    if len(text) <= MAX_TEXT_LENGTH:
        return text
    return f"{text[:MAX_TEXT_LENGTH]}#{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def encode_value(value: Scalar) -> str:
    """A scalar as the text of a posting."""
    if value is None:
        return "0"
    if isinstance(value, bool):
        return "b1" if value else "b0"
    if isinstance(value, (int, float)):
        return f"n{_sortable(value)}"
    return f"s{abbreviate(storable_text(value))}"


_END_OF_FLOAT = "."


# Numbers recur: the steps of every thread count from the same number.
@lru_cache(maxsize=4096)
def _sortable(number: int | float) -> str:
    """A number as text: texts sort as the numbers do, are equal for equal numbers, and are exact for integers of any size."""
    try:
        nearest = float(number)
    except OverflowError:
        nearest = math.inf if number > 0 else -math.inf
    (bits,) = struct.unpack(">Q", struct.pack(">d", nearest + 0.0))
    ordered = bits ^ (0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else 0x8000_0000_0000_0000)
    rest = number if math.isinf(nearest) else number - int(nearest) if isinstance(number, int) else 0
    # Trailing zeros are removed; the order is kept, because the mark that follows sorts before every digit.
    shortest = f"{ordered:016x}".rstrip("0")
    return f"{shortest}{_END_OF_FLOAT}{_sortable_rest(int(rest) if isinstance(rest, int) else 0)}"


def _sortable_rest(rest: int) -> str:
    # The part of a large integer that a float can't represent. Negative sorts before none before positive, shorter before longer.
    if rest == 0:
        return "m"
    digits = f"{abs(rest):x}"
    if rest > 0:
        return f"p{len(digits):08x}{digits}"
    flipped = "".join(f"{15 - int(digit, 16):x}" for digit in digits)
    return f"a{0xFFFF_FFFF - len(digits):08x}{flipped}"


# --- what a posting says, to show it


def shown_path(path: str) -> str:
    """A path as people read and type it: `user/name`, and `tags[]` for the entries of a list. `path_of` is its inverse."""
    return path.replace(f"/{_IN_LIST}", "[]")


def path_of(shown: str) -> str:
    """The path that `shown_path` shows so."""
    return shown.replace("[]", f"/{_IN_LIST}")


def nested_at(path: str, value: Any) -> dict[str, Any]:
    """The metadata that has just one value, at this path."""
    made = value
    for part in reversed(path.split("/")):
        made = [made] if part == _IN_LIST else {part.replace("~1", "/").replace("~0", "~"): made}
    return made if isinstance(made, dict) else {_IN_LIST: made}


def is_abbreviated(text: str) -> bool:
    """Whether the path or the value of a posting is only the beginning of what was stored."""
    return len(text) > MAX_TEXT_LENGTH


def decode_value(text: str) -> Scalar:
    """The scalar of a posting's value that is not abbreviated.

    Raises:
        ValueError: it stands for an empty list or dict, or for no value.
    """
    match text[:1], text[1:]:
        case "0", "":
            return None
        case "b", ("0" | "1") as truth:
            return truth == "1"
        case "n", number:
            return _number(*number.split(_END_OF_FLOAT))
        case "s", written:
            return written
    raise ValueError(f"{text[:1]!r} begins no scalar")


def _number(shortest: str, rest: str) -> int | float:
    """The number of which `_sortable` made a text."""
    ordered = int(shortest.ljust(16, "0"), 16)
    bits = ordered ^ (0x8000_0000_0000_0000 if ordered >> 63 else 0xFFFF_FFFF_FFFF_FFFF)
    (nearest,) = struct.unpack(">d", struct.pack(">Q", bits))
    more = _rest(rest)
    if math.isinf(nearest):
        return more or float(nearest)
    return int(nearest) + more if nearest.is_integer() else float(nearest)


def _rest(text: str) -> int:
    """The integer of which `_sortable_rest` made a text."""
    digits = text[9:]
    if text.startswith("a"):
        return -int("".join(f"{15 - int(digit, 16):x}" for digit in digits), 16)
    return int(digits, 16) if digits else 0
