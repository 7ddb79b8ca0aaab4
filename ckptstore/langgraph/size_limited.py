"""A wrapper that adds a size limit to any saver, also to the official ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, ChannelVersions, Checkpoint, CheckpointMetadata

from ckptstore.errors import InvalidConfig, brief
from ckptstore.langgraph.saver import SQLAlchemySaver
from ckptstore.langgraph.serialise import serialise
from ckptstore.langgraph.size_advice import advise
from ckptstore.records import Value
from ckptstore.values.size_limits import MIB, NO_ROOM, SizeChecker, SizeLimits, ThreadNs

# A TiB.
_MOST_MB = 1024 * 1024


def _delegated(name: str) -> Callable[..., Any]:
    def call(self: SizeLimitedCheckpointer, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.saver, name)(*args, **kwargs)

    call.__name__ = name
    call.__doc__ = f"See `BaseCheckpointSaver.{name}`: the wrapped saver's method, unchanged."
    return call


class SizeLimitedCheckpointer(BaseCheckpointSaver[Any]):
    """Wraps a saver and limits the size of a checkpoint and of a task's writes. Subgraphs inherit the limit with the saver.

    The size is that of the serialised channels. For `SQLAlchemySaver` it includes the metadata, and excludes large binary leaves
    that go to blob storage (see `SizeLimits`); that saver measures what it serialises anyway, with this limit instead of its own.
    For other savers, channels that changed are serialised a second time.

    Args:
        saver: any LangGraph saver.
        max_size_mb: the limit in MiB.

    Raises:
        InvalidConfig: `saver` is none, or `max_size_mb` is less than a byte or more than a TiB.
    """

    def __init__(self, saver: BaseCheckpointSaver[Any], max_size_mb: float = 10) -> None:
        if not isinstance(saver, BaseCheckpointSaver):
            raise InvalidConfig(f"SizeLimitedCheckpointer takes a LangGraph saver, got {brief(saver)}")
        if not 1 / MIB <= max_size_mb <= _MOST_MB:
            raise InvalidConfig(f"max_size_mb must be positive, a byte at least and {_MOST_MB} at most; got {max_size_mb!r}")
        super().__init__(serde=saver.serde)
        self.max_size_mb = max_size_mb
        limit = int(max_size_mb * MIB)
        self._limiter: SizeChecker | None = None
        if isinstance(saver, SQLAlchemySaver):
            self.saver: BaseCheckpointSaver[Any] = saver.with_limits(
                replace(saver.limits, max_checkpoint_bytes=limit), remedy="max_size_mb"
            )
        else:
            self.saver = saver
            self._limiter = SizeChecker(SizeLimits(max_checkpoint_bytes=limit), leaf_room=NO_ROOM, remedy="max_size_mb", advise=advise)

    def put(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> RunnableConfig:
        """See `BaseCheckpointSaver.put`.

        Raises:
            CheckpointTooLarge: the checkpoint exceeds the limit; nothing was written.
        """
        self._check_checkpoint(config, checkpoint, new_versions)
        return self.saver.put(config, checkpoint, metadata, new_versions)

    async def aput(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> RunnableConfig:
        """See `put`."""
        self._check_checkpoint(config, checkpoint, new_versions)
        return await self.saver.aput(config, checkpoint, metadata, new_versions)

    def put_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        """See `BaseCheckpointSaver.put_writes`.

        Raises:
            CheckpointTooLarge: the writes exceed the limit; none of them was written.
        """
        self._check_writes(config, writes)
        self.saver.put_writes(config, writes, task_id, task_path)

    async def aput_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        """See `put_writes`."""
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
        """The wrapped saver's `config_specs`."""
        return self.saver.config_specs

    def with_allowlist(self, extra_allowlist: Any) -> SizeLimitedCheckpointer:
        """The same limit around the wrapped saver with this msgpack allowlist."""
        inner = self.saver.with_allowlist(extra_allowlist)
        return self if inner is self.saver else SizeLimitedCheckpointer(inner, self.max_size_mb)

    def _check_checkpoint(self, config: RunnableConfig, checkpoint: Checkpoint, new_versions: ChannelVersions) -> None:
        if self._limiter is None:
            return
        configurable = config.get("configurable", {})
        namespace = ThreadNs(str(configurable.get("thread_id")), str(configurable.get("checkpoint_ns") or ""))
        versions = {channel: str(version) for channel, version in checkpoint["channel_versions"].items()}
        values = checkpoint["channel_values"]
        now = {channel for channel in values if channel in new_versions or channel not in versions}

        def measured(channel: str) -> Value:
            return serialise(self.serde, values[channel], channel)

        self._limiter.check_checkpoint(namespace, {channel: measured(channel) for channel in now}, values.keys() - now, versions, measured)

    def _check_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]]) -> None:
        if self._limiter is None:
            return
        thread_id = str(config.get("configurable", {}).get("thread_id"))
        self._limiter.check_writes(thread_id, [(channel, serialise(self.serde, value, channel)) for channel, value in writes])
