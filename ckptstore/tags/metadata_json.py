"""Metadata as JSON that every database accepts, and as the values that this JSON holds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from ckptstore.errors import SerializationFailed

#: How many dicts and lists may be nested in each other: parsers of JSON, ours and the databases', stop at some hundred.
MAX_DEPTH = 100
#: The largest whole number, in bits. It is about the largest float, and its posting fits into an index row.
MAX_INT_BITS = 1024

# A float may be NaN or infinite, which becomes null.
_SAME_IN_JSON = frozenset((str, bool, type(None)))
# Created once: `json.dumps` with options would create an encoder for each call.
_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_LONGEST_SHOWN_KEY = 80


class JsonMetadata(NamedTuple):
    """Metadata to store."""

    #: JSON.
    text: str
    #: What this JSON holds: dicts, lists and scalars of Python's own types.
    values: Mapping[str, Any]


class NotJson(Exception):
    """A value that JSON can't represent; the message is the reason, as the end of a sentence."""


class TooMuch(Exception):
    """Values whose JSON is longer than allowed.

    Attributes:
        sizes: bytes of JSON, about, by metadata key.
        is_partial: whether counting ended when the limit was exceeded, so that the last key has more.
    """

    def __init__(self, sizes: Mapping[str, int], *, is_partial: bool) -> None:
        super().__init__()
        self.sizes = sizes
        self.is_partial = is_partial


def encode_metadata(metadata: Mapping[Any, Any], max_bytes: int | None = None) -> JsonMetadata:
    """Metadata as JSON: without NUL characters and lone surrogates, with NaN and infinities as null.

    Args:
        metadata: what to store. Members of enumerations that are texts or numbers count as their values.
        max_bytes: the longest JSON; None for no limit.

    Raises:
        SerializationFailed: JSON can't represent a value; the message names its key.
        TooMuch: the JSON would be longer. Values that are nested in many places are noticed before they fill the memory.
    """
    values = metadata if _is_flat(metadata) else _cleaned_metadata(metadata, max_bytes)
    text = _to_json(values)
    if "\\u0000" in text or not (text.isascii() or _is_encodable(text)):
        values = _cleaned_metadata(metadata, max_bytes)
        text = _to_json(values)
    if max_bytes is not None and len(text) * 4 > max_bytes and len(text.encode()) > max_bytes:
        raise TooMuch({key: len(_to_json(value).encode()) for key, value in values.items()}, is_partial=False)
    return JsonMetadata(text, values)


def _is_flat(metadata: Mapping[Any, Any]) -> bool:
    """Whether metadata has nothing but scalars that are the same in JSON, and empty dicts, which is nearly always."""
    for key, value in metadata.items():
        kind = type(value)
        if type(key) is not str or not (
            kind in _SAME_IN_JSON
            or (kind is int and value.bit_length() <= MAX_INT_BITS)
            or (kind is float and math.isfinite(value))
            or (kind is dict and not value)
        ):
            return False
    return True


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _cleaned_metadata(metadata: Mapping[Any, Any], max_bytes: int | None) -> dict[str, Any]:
    cleaner = Cleaner(max_bytes)
    cleaned: dict[str, Any] = {}
    sizes: dict[str, int] = {}
    for key, value in metadata.items():
        before = cleaner.spent
        try:
            cleaned[cleaner.key(key)] = cleaner.clean(value)
        except NotJson as exc:
            raise SerializationFailed(f"metadata[{shown(key)}] {exc}") from exc
        except OverflowError as exc:
            raise TooMuch({**sizes, str(key): cleaner.spent - before}, is_partial=True) from exc
        sizes[str(key)] = cleaner.spent - before
    return cleaned


def shown(key: Any) -> str:
    """A metadata key as a message shows it."""
    if not isinstance(key, str):
        return f"a key of type {type(key).__name__}"
    return repr(key if len(key) <= _LONGEST_SHOWN_KEY else f"{key[:_LONGEST_SHOWN_KEY]}...")


class Cleaner:
    """Turns values into those that their JSON holds.

    Args:
        max_characters: how many characters of JSON the values may have together, approximately; None for no limit.
    """

    def __init__(self, max_characters: int | None = None) -> None:
        self._max_characters = math.inf if max_characters is None else max_characters
        #: Characters of JSON so far: at least so many.
        self.spent = 0

    def clean(self, value: Any, depth: int = 1) -> Any:
        """A value as its JSON holds it.

        Raises:
            NotJson: JSON can't represent it.
            OverflowError: it has more characters than allowed.
        """
        if isinstance(value, str):
            return self._text(value)
        if value is None or isinstance(value, bool):
            return self._spent(value)
        if isinstance(value, (int, float)):
            return self._spent(_number(value))
        if depth > MAX_DEPTH:
            raise NotJson(f"is nested more than {MAX_DEPTH} levels deep")
        if isinstance(value, Mapping):
            self._spent(None)
            return {self.key(key): self.clean(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            self._spent(None)
            return [self.clean(inner, depth + 1) for inner in value]
        raise NotJson(f"contains a value of type {type(value).__name__}, but metadata is JSON: text, numbers, bools, None, lists, dicts")

    def key(self, key: Any) -> str:
        """A key of a dict as its JSON holds it. Numbers, booleans and None become text, as in `json.dumps`."""
        if isinstance(key, str):
            return self._text(key)
        if key is None or isinstance(key, (bool, int, float)):
            return self._text(json.dumps(self.clean(key)))
        raise NotJson(f"has a key of type {type(key).__name__}, but keys in JSON are text")

    def _text(self, text: str) -> str:
        cleaned = storable_text(text)
        self._spent(None, len(cleaned))
        return cleaned

    def _spent(self, result: Any, characters: int = 0) -> Any:
        # Each value has at least one character, and one that separates it from the next.
        self.spent += characters + 2
        if self.spent > self._max_characters:
            raise OverflowError
        return result


def _number(value: int | float) -> int | float | None:
    """A number of Python's own type; None for one that JSON does not have."""
    if isinstance(value, float):
        return float.__float__(value) if math.isfinite(value) else None
    if value.bit_length() > MAX_INT_BITS:
        raise NotJson(f"contains a whole number of more than {MAX_INT_BITS} bits")
    return int.__int__(value)


def storable_text(text: str) -> str:
    """A text of Python's own type, without NUL characters and lone surrogates, which databases refuse in text."""
    plain = text if type(text) is str else str.__str__(text)
    if plain.isascii() and "\0" not in plain:
        return plain
    return plain.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
