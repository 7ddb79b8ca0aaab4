"""Size limits: what is too large is refused before anything is written, with a message that says what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ckptstore.errors import CheckpointTooLarge, InvalidPolicy, brief
from ckptstore.records import Value
from ckptstore.values.lru import Lru

MIB = 1024 * 1024
_LISTED_CHANNELS = 3
_MAX_KNOWN_NAMESPACES = 10_000

_NO_INPUTS: Mapping[str, Collection[str]] = {}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeLimits:
    """How large checkpoints, their metadata and blobs may be; None means no limit. What is stored already can be read, copied and pruned.

    Args:
        max_checkpoint_bytes: the serialised state of one checkpoint, wherever it is stored, including unchanged channels but
            excluding large binary leaves and attachments (64 KiB or more) that are stored by themselves: in blob storage, or without
            one in the database, up to `BlobSettings.database_bytes` each. The limit applies to the writes of one task too.
        max_blob_bytes: one large binary leaf or attachment that does not count, or one file of `saver.blobs`.
        max_metadata_bytes: the metadata of one checkpoint, as JSON.
        max_tags: how many scalars, and empty lists and dicts, the metadata of one checkpoint has in the index.
        warn_at: the fraction of `max_checkpoint_bytes` from which a warning is logged.

    Raises:
        InvalidPolicy: a limit is not positive, or `warn_at` is not from 0 to 1.
    """

    max_checkpoint_bytes: int | None = 10 * MIB
    max_blob_bytes: int | None = None
    max_metadata_bytes: int | None = 256 * 1024
    max_tags: int | None = 1_000
    warn_at: float = 0.8

    def __post_init__(self) -> None:
        """Validate the limits."""
        for name in ("max_checkpoint_bytes", "max_blob_bytes", "max_metadata_bytes", "max_tags"):
            limit = getattr(self, name)
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
                raise InvalidPolicy(f"{name} must be a whole number of at least 1, or None for no limit, got {brief(limit)}")
        if not isinstance(self.warn_at, (int, float)) or not 0 <= self.warn_at <= 1:
            raise InvalidPolicy(f"warn_at must be from 0 to 1, got {brief(self.warn_at)}")


DEFAULT_LIMITS = SizeLimits()


Advise = Callable[[Value | None, bool], str]


def _trim(_value: Value | None, _leaves_count: bool) -> str:
    return "trim it"


class ThreadNs(NamedTuple):
    """The thread and namespace of a checkpoint."""

    thread_id: str
    checkpoint_ns: str


class LeafRoom(NamedTuple):
    """How large the binary leaves and attachments of one value may be that do not count."""

    #: Bytes of each; larger ones count.
    each: float
    #: Bytes of all of them; if they are more, they count.
    together: float


#: All of them count.
NO_ROOM = LeafRoom(0, 0)


class SizeChecker:
    """Checks checkpoints, writes and blobs against limits. It remembers the sizes of channels, for those that do not change.

    Args:
        limits: the limits.
        leaf_room: which large binary leaves are stored by themselves, and so do not count.
        remedy: the option that a user can change, for messages.
        advise: says what would make the largest channel smaller, from its value, if that is known, and whether large binary leaves
            of it count.
    """

    def __init__(self, limits: SizeLimits, *, leaf_room: LeafRoom, remedy: str, advise: Advise = _trim) -> None:
        self._limits = limits
        self._advise = advise
        self._leaf_room = leaf_room
        self._remedy = remedy
        #: For each namespace the channels of its newest checkpoint, each with its version and size.
        self._known: Lru[ThreadNs, Mapping[str, tuple[str, int]]] = Lru(_MAX_KNOWN_NAMESPACES)

    def check_checkpoint(
        self,
        namespace: ThreadNs,
        changed: Mapping[str, Value],
        carried: Collection[str],
        versions: Mapping[str, str],
        serialise: Callable[[str], Value],
        other_bytes: int = 0,
        inputs: Mapping[str, Collection[str]] = _NO_INPUTS,
    ) -> None:
        """Check a checkpoint.

        Args:
            namespace: its thread and namespace.
            changed: the channels that it changes, serialised.
            carried: the channels that it keeps unchanged.
            versions: the version of each channel that has one.
            serialise: serialises an unchanged channel whose size is not known.
            other_bytes: bytes that belong to no channel.
            inputs: for a changed channel that only holds inputs, the channels that they are for. Such an input and what these hold now are
                not counted twice: when it has become their value, they are checked again.

        Raises:
            CheckpointTooLarge: it exceeds a limit.
        """
        sizes: dict[str, int] = {}
        newest: dict[str, tuple[str, int]] = {}
        for channel, value in changed.items():
            # Mostly there are no leaves, and all bytes count.
            size = self._counted(value, channel, namespace.thread_id) if value.leaf_offsets else len(value.data)
            sizes[channel] = size
            if channel in versions:
                newest[channel] = versions[channel], size
        if carried:
            known = self._known.get(namespace) or {}
            for channel in carried:
                version, size = known.get(channel, (None, 0))
                sizes[channel] = size if version == versions[channel] else self._counted(serialise(channel), channel, namespace.thread_id)
                newest[channel] = versions[channel], sizes[channel]
        for channel, targets in inputs.items():
            sizes[channel] = max(0, sizes[channel] - sum(sizes[target] for target in targets if target in carried))
        self._check(sizes, changed, namespace.thread_id, "checkpoint", other_bytes)
        self._known.put(namespace, newest)

    def known_size(self, namespace: ThreadNs, channels: Collection[str]) -> int:
        """The bytes of some channels when they were last checked; a channel that never was counts as 0."""
        known = self._known.get(namespace) or {}
        size = 0
        for channel in channels:
            if channel in known:
                size += known[channel][1]
        return size

    def check_writes(self, thread_id: str, writes: Iterable[tuple[str, Value]]) -> None:
        """Check the writes of a task.

        Raises:
            CheckpointTooLarge: they exceed a limit.
        """
        sizes: dict[str, int] = {}
        values: dict[str, Value] = {}
        for channel, value in writes:
            values[channel] = value
            sizes[channel] = sizes.get(channel, 0) + self._counted(value, channel, thread_id)
        self._check(sizes, values, thread_id, "pending writes")

    def check_blob(self, size: int, what: str) -> None:
        """Check a blob.

        Raises:
            CheckpointTooLarge: it exceeds the limit.
        """
        limit = self._limits.max_blob_bytes
        if limit is None or size <= limit:
            return
        _log("refused", what, size, limit, {})
        raise CheckpointTooLarge(
            f"{what}: {_above(size, limit)} exceeds limit {_mb(limit)}; store it elsewhere, or raise max_blob_bytes of SizeLimits"
        )

    def _counted(self, value: Value, name: str, thread_id: str) -> int:
        if not value.leaf_offsets:
            return len(value.data)
        apart = self._apart(value)
        for size in apart:
            self.check_blob(size, f"a blob in channel {name!r} of thread {thread_id!r}")
        return len(value.data) - sum(apart)

    def _apart(self, value: Value) -> list[int]:
        """The sizes of the leaves of a value that do not count."""
        sizes = [end - start for start, end in zip(value.leaf_offsets[::2], value.leaf_offsets[1::2], strict=True)]
        apart = [size for size in sizes if size <= self._leaf_room.each]
        return apart if sum(apart) <= self._leaf_room.together else []

    def _check(self, sizes: Mapping[str, int], values: Mapping[str, Value], thread_id: str, what: str, other_bytes: int = 0) -> None:
        limit, total = self._limits.max_checkpoint_bytes, sum(sizes.values()) + other_bytes
        if limit is None or total < limit * self._limits.warn_at:
            return
        largest = dict(sorted(sizes.items(), key=lambda item: item[1], reverse=True)[:_LISTED_CHANNELS])
        listed = ", ".join(f"{name} {_mb(size)}" for name, size in largest.items())
        if total <= limit:
            _log("nearly_too_large", f"{what} of thread {thread_id!r}", total, limit, largest)
            return
        _log("refused", f"{what} of thread {thread_id!r}", total, limit, largest)
        raise CheckpointTooLarge(
            f"{what} of thread {thread_id!r}: {_above(total, limit)} exceeds limit {_mb(limit)}; largest channels: {listed or 'none'}, "
            f"other data {_mb(other_bytes)}. {self._way_out(next(iter(largest), None), values)}, or raise {self._remedy}"
        )

    def _way_out(self, largest: str | None, values: Mapping[str, Value]) -> str:
        if largest is None:
            return "Keep less in metadata and in the config"
        value = values.get(largest)
        leaves_count = value is not None and len(self._apart(value)) < len(value.leaf_offsets) // 2
        return f"For {largest}: {self._advise(value, leaves_count)}"


def _log(event: str, what: str, size: int, limit: int, largest: Mapping[str, int]) -> None:
    logger.warning(
        "%s: %s, %d bytes of %d; largest: %s", event.replace("_", " "), what, size, limit, ", ".join(largest) or "itself",
        extra={"event": event, "what": what, "bytes": size, "limit": limit, "largest": dict(largest)},
    )  # fmt: skip


def _above(size: int, limit: int) -> str:
    return _mb(size) if _mb(size) != _mb(limit) else f"{size} bytes"


def _mb(size: int) -> str:
    if size < MIB / 10:
        return f"{size} bytes"
    return f"{size / MIB:.1f}".removesuffix(".0") + "MB"
