"""Names that users and graphs give: text that every database takes as it is."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from ckptstore.errors import InvalidConfig


def checked(text: Any, what: str) -> str:
    """The name itself.

    Raises:
        InvalidConfig: it is not text, or holds what databases refuse; the message says `what` it names.
    """
    if not isinstance(text, str):
        raise InvalidConfig(f"the {what} must be text, got {type(text).__name__}")
    if text.isascii() and text.isprintable():
        # Nearly all names.
        return text
    if "\0" in text:
        raise InvalidConfig(f"the {what} holds a NUL character, which databases refuse")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidConfig(f"the {what} holds half of a surrogate pair, which databases refuse") from exc
    return text


def check_channels(channels: Iterable[str]) -> None:
    """Check the names of channels.

    Raises:
        InvalidConfig: as `checked`.
    """
    for channel in channels:
        _check_channel(channel)


# Every checkpoint of an application has the same few channels.
@lru_cache(maxsize=4096)
def _check_channel(channel: str) -> None:
    checked(channel, f"channel name {channel!r}")
