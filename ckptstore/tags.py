"""Metadata as an inverted index: what is stored for a checkpoint, and what a filter asks for.

A posting is a key path and a typed value, both text whose byte order is the order of the values:

- a path is a JSON pointer without its first slash (RFC 6901), so a dot in a key is a dot; `~2` steps into a list;
- a value is a letter for its type and its text; numbers order as numbers, `3` equals `3.0`, and `True` is not `1`.

Postings find candidates; `Filter.matches` then decides by the metadata itself, so an answer is exact even where a
posting is not (a long text, which is indexed by its beginning and a digest).
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ckptstore.errors import InvalidFilter, SerializationFailed
from ckptstore.records import Posting

# PostgreSQL refuses index rows beyond 2,704 bytes; a key and a value together stay well below.
_LONGEST_TEXT = 200
_IN_LIST = "~2"
_OPERATORS = ("$eq", "$ne", "$in", "$gt", "$gte", "$lt", "$lte", "$exists")

Scalar = str | int | float | bool | None


def to_json(metadata: Mapping[str, Any]) -> str:
    """Metadata as JSON that every database takes: no NUL characters, no lone surrogates, NaN and infinities as null.

    Raises:
        SerializationFailed: a value that JSON can't hold; the message names its key.
    """
    try:
        text = json.dumps(metadata, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if "\\u0000" not in text:
            text.encode()
            return text
    except (TypeError, ValueError, RecursionError):
        pass  # The careful way below mends what can be mended and names what can't.
    try:
        plain = {plain_text(str(key)): _plain(value, str(key)) for key, value in metadata.items()}
        return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError as exc:
        raise SerializationFailed("the metadata is nested too deeply for JSON") from exc
    except ValueError as exc:
        raise SerializationFailed(f"the metadata holds a number that JSON can't ({type(exc).__name__})") from exc


def plain_text(text: str) -> str:
    """Text without NUL characters and lone surrogates, which databases refuse."""
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _plain(value: Any, key: str) -> Any:
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, Mapping):
        return {plain_text(str(inner_key)): _plain(inner, key) for inner_key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, key) for inner in value]
    raise SerializationFailed(
        f"metadata[{key!r}] holds a {type(value).__name__}, and metadata is JSON: text, numbers, bools, None, lists, dicts"
    )


def postings(metadata: Mapping[str, Any]) -> frozenset[Posting]:
    """Every posting of one checkpoint's metadata (JSON values only): one a scalar, wherever it is."""
    return frozenset(posting for key, value in metadata.items() for posting in _postings(_step("", key), value))


def _postings(path: str, value: Any) -> Iterator[Posting]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _postings(_step(path, key), inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _postings(f"{path}/{_IN_LIST}", inner)
    else:
        yield Posting(_bounded(path), _encoded(value))


def _step(path: str, key: object) -> str:
    escaped = plain_text(str(key)).replace("~", "~0").replace("/", "~1")
    return f"{path}/{escaped}" if path else escaped


def _bounded(text: str) -> str:
    if len(text) <= _LONGEST_TEXT:
        return text
    return f"{text[:_LONGEST_TEXT]}#{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _encoded(value: Scalar) -> str:
    if value is None:
        return "0"
    if isinstance(value, bool):
        return "b1" if value else "b0"
    if isinstance(value, (int, float)):
        return f"n{_sortable(value)}"
    return f"s{_bounded(plain_text(value))}"


_END_OF_FLOAT = "."


def _sortable(number: int | float) -> str:
    """A number as text that sorts as numbers do, equal for equal numbers, exact for integers of any size."""
    try:
        nearest = float(number)
    except OverflowError:
        nearest = math.inf if number > 0 else -math.inf
    (bits,) = struct.unpack(">Q", struct.pack(">d", nearest + 0.0))
    ordered = bits ^ (0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else 0x8000_0000_0000_0000)
    rest = number if math.isinf(nearest) else number - int(nearest) if isinstance(number, int) else 0
    # Trailing zeros go: what ends sooner is smaller, since the mark that follows sorts before every digit.
    shortest = f"{ordered:016x}".rstrip("0")
    return f"{shortest}{_END_OF_FLOAT}{_sortable_rest(int(rest) if isinstance(rest, int) else 0)}"


def _sortable_rest(rest: int) -> str:
    # What a float could not hold of a large integer: negative before none before positive, shorter before longer.
    if rest == 0:
        return "m"
    digits = f"{abs(rest):x}"
    if rest > 0:
        return f"p{len(digits):08x}{digits}"
    flipped = "".join(f"{15 - int(digit, 16):x}" for digit in digits)
    return f"a{0xFFFF_FFFF - len(digits):08x}{flipped}"


@dataclass(frozen=True, slots=True)
class Filter:
    """A metadata filter, read once: the postings that every match must have, and the exact test."""

    wanted: Mapping[str, Any]
    required: tuple[Posting, ...]

    @classmethod
    def parse(cls, wanted: Mapping[str, Any] | None) -> Filter:
        """Read a filter as users write it.

        Args:
            wanted: metadata key -> a scalar (equal), a dict (contained in a dict), a list (all contained in a list), or
                a dict of operators: `$eq $ne $in $gt $gte $lt $lte $exists`. Several keys all have to match.

        Raises:
            InvalidFilter: it is not a dict, or a key or operator has no meaning; the message names the key.
        """
        if wanted is None:
            return cls({}, ())
        if not isinstance(wanted, Mapping):
            raise InvalidFilter(f"a filter is a dict of metadata keys, got {type(wanted).__name__}")
        required: list[Posting] = []
        for key, value in wanted.items():
            if not isinstance(key, str):
                raise InvalidFilter(f"metadata keys are text, got the key {key!r} of type {type(key).__name__}")
            required.extend(_required(_step("", key), value, key))
        return cls(dict(wanted), tuple(dict.fromkeys(required)))

    @property
    def indexed(self) -> bool:
        """Whether the postings alone decide: every entry is a scalar."""
        return not any(isinstance(value, (Mapping, list, tuple)) for value in self.wanted.values())

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        """Whether metadata satisfies every entry of the filter."""
        return all(_matches(metadata.get(key, _ABSENT), value) for key, value in self.wanted.items())


_ABSENT: Any = object()


def _required(path: str, value: Any, key: str) -> Iterator[Posting]:
    """The postings without which nothing can match; the exact test does the rest."""
    if isinstance(value, Mapping):
        if _is_operators(value, key):
            if "$eq" in value:
                yield from _required(path, value["$eq"], key)
            return
        for inner_key, inner in value.items():
            yield from _required(_step(path, inner_key), inner, key)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _required(f"{path}/{_IN_LIST}", inner, key)
    else:
        _check_scalar(value, key)
        yield Posting(_bounded(path), _encoded(value))


def _is_operators(value: Mapping[str, Any], key: str) -> bool:
    operators = [name for name in value if isinstance(name, str) and name.startswith("$")]
    if not operators:
        return False
    unknown = [name for name in value if name not in _OPERATORS]
    if unknown:
        raise InvalidFilter(f"filter on {key!r}: unknown operator {unknown[0]!r}; known are {' '.join(_OPERATORS)}")
    for name, operand in value.items():
        _check_operand(name, operand, key)
    return True


def _check_operand(name: str, operand: Any, key: str) -> None:
    if name == "$in":
        if not isinstance(operand, (list, tuple, set, frozenset)):
            raise InvalidFilter(f"filter on {key!r}: $in takes a list, got {type(operand).__name__}")
        for item in operand:
            _check_scalar(item, key)
    elif name == "$exists":
        if not isinstance(operand, bool):
            raise InvalidFilter(f"filter on {key!r}: $exists takes True or False, got {type(operand).__name__}")
    elif name in ("$gt", "$gte", "$lt", "$lte"):
        if isinstance(operand, bool) or not isinstance(operand, (int, float, str)):
            raise InvalidFilter(f"filter on {key!r}: {name} takes a number or text, got {type(operand).__name__}")
        _check_scalar(operand, key)
    elif not isinstance(operand, (Mapping, list, tuple)):
        _check_scalar(operand, key)


def _check_scalar(value: Any, key: str) -> None:
    if value is not None and not isinstance(value, (str, int, float, bool)):
        raise InvalidFilter(
            f"filter on {key!r}: can't compare with a {type(value).__name__}; use text, numbers, bools, None, lists or dicts"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidFilter(f"filter on {key!r}: {value!r} is not a number that metadata can hold")


def _matches(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        if any(isinstance(name, str) and name.startswith("$") for name in wanted):
            return all(_TESTS[name](found, operand) for name, operand in wanted.items())
        return isinstance(found, Mapping) and all(_matches(found.get(key, _ABSENT), inner) for key, inner in wanted.items())
    if isinstance(wanted, (list, tuple)):
        return isinstance(found, (list, tuple)) and all(any(_matches(item, inner) for item in found) for inner in wanted)
    return _same(found, wanted)


def _same(found: Any, wanted: Any) -> bool:
    if found is _ABSENT or isinstance(found, bool) is not isinstance(wanted, bool):
        return False
    return bool(found == wanted)


def _comparable(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, str):
        return isinstance(found, str)
    return isinstance(found, (int, float)) and not isinstance(found, bool)


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda found, wanted: _comparable(found, wanted) and test(found, wanted)


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": _matches,
    "$ne": lambda found, wanted: not _matches(found, wanted),
    "$in": lambda found, wanted: any(_same(found, item) for item in wanted),
    "$gt": _ordered(lambda found, wanted: found > wanted),
    "$gte": _ordered(lambda found, wanted: found >= wanted),
    "$lt": _ordered(lambda found, wanted: found < wanted),
    "$lte": _ordered(lambda found, wanted: found <= wanted),
    "$exists": lambda found, wanted: (found is not _ABSENT) is wanted,
}
