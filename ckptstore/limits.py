"""Size limits: what is too large is refused before anything of it is written, with words that help."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cachetools import LRUCache
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, ChannelVersions, Checkpoint, CheckpointMetadata

from ckptstore.codec import encode
from ckptstore.errors import CheckpointTooLarge
from ckptstore.leaves import large_leaves

_MIB = 1024 * 1024
_LISTED_CHANNELS = 3
_KNOWN_SIZES = 10_000

logger = logging.getLogger(__name__)


def _delegated(name: str) -> Callable[..., Any]:
    def call(self: SizeLimitedCheckpointer, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.saver, name)(*args, **kwargs)

    call.__name__ = name
    call.__doc__ = "Handed on to the saver as it is."
    return call


class SizeLimitedCheckpointer(BaseCheckpointSaver[Any]):
    """Any saver, with a limit on the size of a checkpoint and of a task's writes.

    What counts is the serialised state without its large binary leaves (`bytes` of 64 KiB or more), which belong into blob
    storage. Subgraphs inherit the limit with the saver.

    Args:
        saver: any LangGraph saver.
        max_size_mb: the limit in MiB.

    Raises:
        ValueError: the limit is not positive.
    """

    def __init__(self, saver: BaseCheckpointSaver[Any], max_size_mb: float = 10) -> None:
        if max_size_mb <= 0:
            raise ValueError(f"max_size_mb must be positive, got {max_size_mb!r}")
        super().__init__(serde=saver.serde)
        self.saver = saver
        self.max_size_mb = max_size_mb
        self._sizes: LRUCache[tuple[str, ...], int] = LRUCache(_KNOWN_SIZES)

    def put(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> RunnableConfig:
        """As the saver's own.

        Raises:
            CheckpointTooLarge: the checkpoint is past the limit; nothing of it was written.
        """
        self._check_checkpoint(config, checkpoint)
        return self.saver.put(config, checkpoint, metadata, new_versions)

    async def aput(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> RunnableConfig:
        """As `put`."""
        self._check_checkpoint(config, checkpoint)
        return await self.saver.aput(config, checkpoint, metadata, new_versions)

    def put_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        """As the saver's own.

        Raises:
            CheckpointTooLarge: the writes are past the limit; none of them was written.
        """
        self._check_writes(config, writes)
        self.saver.put_writes(config, writes, task_id, task_path)

    async def aput_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        """As `put_writes`."""
        self._check_writes(config, writes)
        await self.saver.aput_writes(config, writes, task_id, task_path)

    get_tuple = _delegated("get_tuple")
    aget_tuple = _delegated("aget_tuple")
    list = _delegated("list")
    alist = _delegated("alist")
    delete_thread = _delegated("delete_thread")
    adelete_thread = _delegated("adelete_thread")
    delete_for_runs = _delegated("delete_for_runs")
    adelete_for_runs = _delegated("adelete_for_runs")
    copy_thread = _delegated("copy_thread")
    acopy_thread = _delegated("acopy_thread")
    prune = _delegated("prune")
    aprune = _delegated("aprune")
    get_delta_channel_history = _delegated("get_delta_channel_history")
    aget_delta_channel_history = _delegated("aget_delta_channel_history")
    get_next_version = _delegated("get_next_version")

    @property
    def config_specs(self) -> Any:
        """The saver's own."""
        return self.saver.config_specs

    def with_allowlist(self, extra_allowlist: Any) -> SizeLimitedCheckpointer:
        """The same limit over the saver's clone with this allowlist."""
        inner = self.saver.with_allowlist(extra_allowlist)
        return self if inner is self.saver else SizeLimitedCheckpointer(inner, self.max_size_mb)

    def _check_checkpoint(self, config: RunnableConfig, checkpoint: Checkpoint) -> None:
        configurable = config.get("configurable", {})
        place = (str(configurable.get("thread_id")), str(configurable.get("checkpoint_ns") or ""))
        sizes: dict[str, int] = {}
        for channel, value in checkpoint["channel_values"].items():
            version = checkpoint["channel_versions"].get(channel)
            key = (*place, channel, str(version))
            known = self._sizes.get(key) if version is not None else None
            sizes[channel] = self._sizes[key] = self._size(value, channel) if known is None else known
        self._check(sizes, place[0], "checkpoint")

    def _check_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]]) -> None:
        sizes: dict[str, int] = {}
        for channel, value in writes:
            sizes[channel] = sizes.get(channel, 0) + self._size(value, channel)
        self._check(sizes, str(config.get("configurable", {}).get("thread_id")), "pending writes")

    def _size(self, value: Any, channel: str) -> int:
        return len(encode(self.serde, value, channel).data) - sum(memoryview(leaf).nbytes for leaf in large_leaves(value))

    def _check(self, sizes: Mapping[str, int], thread_id: str, what: str) -> None:
        total = sum(sizes.values())
        if total <= self.max_size_mb * _MIB:
            return
        largest = sorted(sizes.items(), key=lambda item: item[1], reverse=True)[:_LISTED_CHANNELS]
        listed = ", ".join(f"{channel} {size / _MIB:.1f}MB" for channel, size in largest)
        logger.warning(
            "refused: thread %s, %d bytes",
            thread_id,
            total,
            extra={"event": "refused", "thread_id": thread_id, "bytes": total, "what": what},
        )
        raise CheckpointTooLarge(
            f"{what} of thread {thread_id!r}: {total / _MIB:.1f}MB exceeds limit {self.max_size_mb:g}MB; largest channels: {listed}. "
            f"Keep large files as bytes (they go to blob storage), trim the channel, or raise max_size_mb"
        )
