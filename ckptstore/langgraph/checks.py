"""Checks what a put is given before anything of it is serialised: hostile or broken arguments raise `InvalidConfig`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ckptstore.errors import InvalidConfig
from ckptstore.langgraph.config import check_channels, check_ids, require_text
from ckptstore.records import CheckpointKey

# The greatest number that its column stores.
_MAX_FORMAT = 2**15 - 1
# Versions and names up to this length together need no further check: 2 x 100 characters have less than 1,024 bytes.
_SHORT_KEY = 100


def check_checkpoint(checkpoint: Any, new_versions: Any) -> None:
    """Check the form of a checkpoint.

    Raises:
        InvalidConfig: it, or a part of it, has another type.
    """
    if not isinstance(checkpoint, dict) and not isinstance(checkpoint, Mapping):
        raise InvalidConfig(f"a checkpoint must be a dict, got {type(checkpoint).__name__}")
    values, versions = checkpoint.get("channel_values", {}), checkpoint.get("channel_versions", {})
    if type(values) is dict and type(versions) is dict and type(new_versions) is dict and checkpoint.get("v", 1) in (1, 2, 3, 4):
        # The usual case.
        return
    for name, part in (("channel_values", values), ("channel_versions", versions), ("new_versions", new_versions)):
        if not isinstance(part, Mapping):
            raise InvalidConfig(f"{name} must be a dict, got {type(part).__name__}")
    _check_format(checkpoint.get("v", 1))


def _check_format(version: Any) -> None:
    if isinstance(version, bool) or not isinstance(version, int) or not 0 <= version <= _MAX_FORMAT:
        raise InvalidConfig(f"a checkpoint's 'v' must be a whole number from 0 to {_MAX_FORMAT}")


def checked_versions(key: CheckpointKey, versions: Mapping[str, Any]) -> dict[str, str]:
    """The versions of channels as text.

    Raises:
        InvalidConfig: a version is neither text nor a number, or a name or version is too long or has characters that databases refuse.
    """
    check_channels(versions)
    texts: dict[str, str] = {}
    for channel, version in versions.items():
        text = version if type(version) is str else _as_text(channel, version)
        if len(text) + len(channel) > _SHORT_KEY or not (text.isascii() and text.isprintable()):
            require_text(text, f"version of channel {channel[:_SHORT_KEY]!r}")
            check_ids({"thread_id": key.thread_id, "checkpoint_ns": key.checkpoint_ns, "channel name": channel, "version": text})
        texts[channel] = text
    return texts


def _as_text(channel: str, version: Any) -> str:
    if isinstance(version, str):
        return str.__str__(version)
    if not isinstance(version, (int, float)):
        raise InvalidConfig(f"the version of channel {channel[:_SHORT_KEY]!r} must be text or a number, got {type(version).__name__}")
    try:
        return str(version)
    except ValueError as exc:
        raise InvalidConfig(f"the version of channel {channel[:_SHORT_KEY]!r} is a number with too many digits") from exc


def check_writes(writes: Any) -> Sequence[tuple[str, Any]]:
    """The writes of a task, if they are pairs of a channel's name and a value.

    Raises:
        InvalidConfig: they are not.
    """
    if type(writes) is not list and (isinstance(writes, (str, bytes)) or not isinstance(writes, Sequence)):
        raise InvalidConfig(f"writes must be a sequence of (channel, value), got {type(writes).__name__}")
    for write in writes:
        if not isinstance(write, (tuple, list)) or len(write) != 2:
            raise InvalidConfig(f"each write must be a pair (channel, value), got {type(write).__name__}")
    check_channels([channel for channel, _ in writes])
    return writes
