"""Which keys of metadata become tags, and which names are taken for credentials."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property, lru_cache

from ckptstore.errors import InvalidConfig

#: Words in the names of a config's entries that are not to be kept; `_` also stands for nothing and for `-`.
CREDENTIAL_WORDS = (
    "api_key", "token", "jwt", "secret", "pwd", "password", "passwd", "passphrase", "credential", "auth", "authorization", "cookie",
    "bearer", "signature", "private_key", "access_key", "session_key", "secret_key",
)  # fmt: skip

_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WILDCARD = re.compile(r"[*?\[]")
_KNOWN_PATHS = 4096


@dataclass(frozen=True)
class TagKeys:
    """What the tag index holds, and so what can be searched by.

    A pattern is matched against a key, or against a path of keys with slashes between them (`user/name`), as file names are:
    `*`, `?`, `[...]`. It covers all that is below what it matches; `exclude` wins over `include`.

    Args:
        include: patterns of the keys that become tags.
        exclude: patterns of those that do not.
        credentials: words by which names are known as credentials: what arrives through a config's `configurable` under such a
            name is kept out of the metadata altogether, since metadata is plain text.

    Raises:
        InvalidConfig: patterns or words are not given as a sequence of texts.
    """

    include: Sequence[str] = ("*",)
    exclude: Sequence[str] = ()
    credentials: Sequence[str] = CREDENTIAL_WORDS

    def __post_init__(self) -> None:
        for name in ("include", "exclude", "credentials"):
            given = getattr(self, name)
            if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(each, str) and each for each in given):
                raise InvalidConfig(f"tag_keys.{name} must be a sequence of texts, got {given!r}")
            object.__setattr__(self, name, tuple(given))

    def is_indexed(self, path: str) -> bool:
        """Whether what is at a path (as `ckptstore.tags.encoding` writes it) becomes a tag."""
        return self is EVERYTHING or self._admitted(path)

    def is_indexed_below(self, path: str) -> bool:
        """Whether nothing below a path is kept out."""
        below = "/".join(_keys_of(path)) + "/"
        beginnings = [_WILDCARD.split(pattern, maxsplit=1)[0] for pattern in self.exclude]
        return not any(beginning.startswith(below) or below.startswith(beginning) for beginning in beginnings)

    def is_credential(self, name: str) -> bool:
        """Whether a name of the configurable looks like a credential's."""
        return self._credential.search(_CAMEL_HUMP.sub("_", name)) is not None

    @cached_property
    def _admitted(self) -> _Admitted:
        return _Admitted(_any_of(self.include), _any_of(self.exclude))

    @cached_property
    def _credential(self) -> re.Pattern[str]:
        words = "|".join(re.escape(word).replace("_", "[_-]?") for word in self.credentials)
        return re.compile(rf"(?:^|[_.-])(?:{words})s?(?:$|[_.-])" if words else r"(?!)", re.IGNORECASE)


def _keys_of(path: str) -> list[str]:
    # Steps into lists are no keys.
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/") if part != "~2"]


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)) or r"(?!)")


class _Admitted:
    """The answers for the paths that were asked for, of which a process sees few."""

    def __init__(self, include: re.Pattern[str], exclude: re.Pattern[str]) -> None:
        self._include = include
        self._exclude = exclude
        self._answer = lru_cache(_KNOWN_PATHS)(self._decide)

    def __call__(self, path: str) -> bool:
        return self._answer(path)

    def _decide(self, path: str) -> bool:
        keys = _keys_of(path)
        above = ["/".join(keys[:depth]) for depth in range(1, len(keys) + 1)]
        return any(map(self._include.match, above)) and not any(map(self._exclude.match, above))


#: Every key becomes a tag: what a saver does unless it is told otherwise.
EVERYTHING = TagKeys()
