"""Limits of metadata: each scalar in it is a row of the tag index, and every reader of the checkpoint reads all of it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from ckptstore.errors import CheckpointTooLarge
from ckptstore.records import CheckpointKey, Posting
from ckptstore.tags.encoding import readable_path
from ckptstore.tags.metadata_json import JsonMetadata, TooMuch, encode_metadata, shown
from ckptstore.values.size_limits import SizeLimits

#: The longest key of a row of an index, in bytes: PostgreSQL refuses more than 2,704, with its own overhead.
MAX_ROW_KEY_BYTES = 2_600

# No posting is longer: its key and its value have 233 characters each, of up to four bytes.
_LONGEST_POSTING_BYTES = 1_900
_LISTED_KEYS = 3

logger = logging.getLogger(__name__)


class MetadataChecker:
    """Checks the metadata of checkpoints against limits.

    Args:
        limits: the limits.
    """

    def __init__(self, limits: SizeLimits) -> None:
        self._limits = limits

    def encode(self, thread_id: str, metadata: Mapping[Any, Any]) -> JsonMetadata:
        """The metadata of a checkpoint as JSON.

        Raises:
            SerializationFailed: it is not JSON; the message names the key.
            CheckpointTooLarge: its JSON exceeds `max_metadata_bytes`.
        """
        try:
            return encode_metadata(metadata, self._limits.max_metadata_bytes)
        except TooMuch as exc:
            limit = self._limits.max_metadata_bytes
            total = "more than" if exc.is_partial else f"{sum(exc.sizes.values())} bytes, more than"
            raise _too_large(
                f"metadata of thread {thread_id!r}: {total} {limit} bytes; keys with the most: {_largest(exc.sizes)}. "
                "Keep large values in the state, where they are stored once, or raise max_metadata_bytes of SizeLimits"
            ) from exc

    def check_tags(self, key: CheckpointKey, found: Collection[Posting]) -> None:
        """Check the tags of a checkpoint.

        Raises:
            CheckpointTooLarge: they are more than `max_tags`, or one does not fit into an index together with the checkpoint's ids.
        """
        limit = self._limits.max_tags
        if limit is not None and len(found) > limit:
            counts = Counter(_top_level(posting) for posting in found)
            raise _too_large(
                f"metadata of thread {key.thread_id!r}: {len(found)} tags, more than {limit}; keys with the most: {_largest(counts)}. "
                "Exclude keys from the index with tag_keys=TagKeys(exclude=...), or raise max_tags of SizeLimits"
            )
        if sum(map(len, key)) * 4 > MAX_ROW_KEY_BYTES - _LONGEST_POSTING_BYTES:
            self._check_row_keys(key, found)

    def _check_row_keys(self, key: CheckpointKey, found: Collection[Posting]) -> None:
        ids = sum(len(part.encode()) for part in key)
        for posting in found:
            size = ids + len(posting.key.encode()) + len(posting.value.encode())
            if size > MAX_ROW_KEY_BYTES:
                raise _too_large(
                    f"metadata[{shown(_top_level(posting))}] of thread {key.thread_id[:40]!r}...: with the {ids} bytes of the checkpoint's "
                    f"ids, this key and its value have {size} bytes, more than the {MAX_ROW_KEY_BYTES} of an index; use shorter ids"
                )


def _top_level(posting: Posting) -> str:
    return readable_path(posting.key.partition("/")[0])


def _largest(sizes: Mapping[str, int]) -> str:
    largest = sorted(sizes.items(), key=lambda item: item[1], reverse=True)[:_LISTED_KEYS]
    return ", ".join(f"{shown(key)} {size}" for key, size in largest)


def _too_large(message: str) -> CheckpointTooLarge:
    logger.warning("refused: %s", message, extra={"event": "refused", "what": "metadata"})
    return CheckpointTooLarge(message)
