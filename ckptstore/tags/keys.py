"""Which metadata keys are indexed as tags, and which names are recognised as credentials."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property, lru_cache

from ckptstore.errors import InvalidConfig, brief
from ckptstore.tags.credentials import CREDENTIAL_WORDS, is_name_of_credential, is_secret, names_pattern

_WILDCARD = re.compile(r"[*?\[]")
_MAX_CACHED_PATHS = 4096
_MAX_CACHED_NAMES = 1024


@dataclass(frozen=True)
class TagKeys:
    """Which metadata keys the tag index holds, and so which keys a filter can ask for.

    A pattern (`*`, `?`, `[...]`, as for file names) is matched against a key, or against a path of keys separated by slashes
    (`user/name`). It also covers everything nested below a match; `exclude` takes precedence over `include`.

    Args:
        include: patterns of the keys that are indexed.
        exclude: patterns of the keys that are not.
        credentials: words by which names are recognised as credentials, see `ckptstore.tags.credentials.CREDENTIAL_WORDS`: a text of
            the `configurable` with such a name, or that looks like a credential itself, is left out of the metadata, because
            metadata is stored as plain text. Without any word, nothing is left out.

    Raises:
        InvalidConfig: patterns or words are not a sequence of texts.
    """

    include: Sequence[str] = ("*",)
    exclude: Sequence[str] = ()
    credentials: Sequence[str] = CREDENTIAL_WORDS

    def __post_init__(self) -> None:
        for name in ("include", "exclude", "credentials"):
            given = getattr(self, name)
            if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(each, str) and each for each in given):
                raise InvalidConfig(f"tag_keys.{name} must be a sequence of texts, got {brief(given)}")
            object.__setattr__(self, name, tuple(given))

    def is_indexed(self, path: str) -> bool:
        """Whether a value at a path (encoded by `ckptstore.tags.encoding`) becomes a tag."""
        return self is EVERYTHING or self._matcher(path)

    def is_indexed_below(self, path: str) -> bool:
        """Whether no pattern excludes anything nested below a path."""
        below = "/".join(_keys_of(path)) + "/"
        beginnings = [_WILDCARD.split(pattern, maxsplit=1)[0] for pattern in self.exclude]
        return not any(beginning.startswith(below) or below.startswith(beginning) for beginning in beginnings)

    def is_credential(self, name: str, text: str) -> bool:
        """Whether a text of the `configurable` looks like a credential, by its name or by itself."""
        return bool(self.credentials) and (self._is_name_of_credential(name) or is_secret(text))

    @cached_property
    def _matcher(self) -> _PathMatcher:
        return _PathMatcher(_compile(self.include), _compile(self.exclude))

    @cached_property
    def _is_name_of_credential(self) -> Callable[[str], bool]:
        names = names_pattern(self.credentials)
        return lru_cache(_MAX_CACHED_NAMES)(lambda name: is_name_of_credential(name, names))


def _keys_of(path: str) -> list[str]:
    # `~2` stands for the entries of a list, which have no key.
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/") if part != "~2"]


def _compile(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)) or r"(?!)")


class _PathMatcher:
    """Whether paths match the patterns; answers are cached, since a process sees few paths."""

    def __init__(self, include: re.Pattern[str], exclude: re.Pattern[str]) -> None:
        self._include = include
        self._exclude = exclude
        self._answer = lru_cache(_MAX_CACHED_PATHS)(self._decide)

    def __call__(self, path: str) -> bool:
        return self._answer(path)

    def _decide(self, path: str) -> bool:
        keys = _keys_of(path)
        ancestors = ["/".join(keys[:depth]) for depth in range(1, len(keys) + 1)]
        return any(map(self._include.match, ancestors)) and not any(map(self._exclude.match, ancestors))


#: The default: every key is indexed.
EVERYTHING = TagKeys()
