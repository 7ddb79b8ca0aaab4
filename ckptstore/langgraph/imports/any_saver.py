"""Any saver as the source of an import, by the methods that LangGraph calls. Objects are built, by the saver's own serialiser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP, BaseCheckpointSaver, CheckpointTuple

from ckptstore.errors import InvalidSource
from ckptstore.langgraph.encode import Encoder, NewCheckpointKey
from ckptstore.langgraph.imports.forms import PLAIN
from ckptstore.langgraph.imports.records import time_of
from ckptstore.records import CheckpointKey, NewWrites
from ckptstore.transfer.parcel import Choice, SourceThread, ThreadGone
from ckptstore.transfer.record_source import Imported
from ckptstore.transfer.remembered import origin_of

T = TypeVar("T")

_THREADS_PER_PAGE = 100
_BYTES_PER_CHECKPOINT = 16 * 1024


class AnySaver:
    """Reads a saver through `list`, or `alist` on the event loop that it belongs to.

    Args:
        saver: the source.
        encoder: makes records of its objects.
        loop: the caller's event loop, on which asynchronous savers run; None to call synchronous methods.
    """

    def __init__(self, saver: BaseCheckpointSaver[Any], encoder: Encoder, loop: asyncio.AbstractEventLoop | None) -> None:
        self._name = type(saver).__name__
        self.origin = origin_of("saver", self._name)
        self._saver = saver
        self._encoder = encoder
        self._loop = loop

    def close(self) -> None:
        """Whoever opened the saver closes it."""

    async def _listed(self, config: RunnableConfig | None, take: Callable[[CheckpointTuple], T]) -> list[T]:
        """What `take` makes of each checkpoint of a listing."""
        if self._loop is not None:
            try:
                return await _on_loop(self._loop, self._listed_async(config, take))
            except NotImplementedError:
                # A saver without asynchronous methods.
                self._loop = None
        return await asyncio.to_thread(lambda: [take(found) for found in self._saver.list(config)])

    async def _listed_async(self, config: RunnableConfig | None, take: Callable[[CheckpointTuple], T]) -> list[T]:
        return [take(found) async for found in self._saver.alist(config)]

    # --- threads

    async def threads(self, choice: Choice) -> AsyncGenerator[Sequence[SourceThread], None]:
        """See `RecordReader.threads`."""
        chosen: dict[str, list[str]] = {}
        for thread_id, checkpoint_id, created_at, metadata in await self._summaries(choice):
            ids = chosen.setdefault(thread_id, [])
            matches = choice.wanted is None or choice.wanted.matches(metadata)
            if matches and (choice.since is None or created_at >= choice.since):
                ids.append(checkpoint_id)
        threads = [
            SourceThread(each, [len(ids), max(ids)], 2**62, len(ids), len(ids) * _BYTES_PER_CHECKPOINT)
            for each, ids in chosen.items()
            if ids
        ]
        threads.sort()
        for start in range(0, len(threads), _THREADS_PER_PAGE):
            yield threads[start : start + _THREADS_PER_PAGE]

    async def _summaries(self, choice: Choice) -> list[tuple[str, str, int, Mapping[str, Any]]]:
        configs: list[RunnableConfig | None] = [None]
        if choice.thread_ids is not None:
            configs = [{"configurable": {"thread_id": each}} for each in choice.thread_ids]
        try:
            return [found for config in configs for found in await self._listed(config, _summary)]
        except Exception as exc:
            if choice.thread_ids is not None:
                raise
            raise InvalidSource(
                f"{self._name} can't list the checkpoints of all threads ({type(exc).__name__}: {exc}); name the threads to import"
            ) from exc

    # --- records

    async def open(self, thread_ids: Sequence[str]) -> ListedThreads:
        """See `RecordReader.open`."""
        found = {each: await self._listed({"configurable": {"thread_id": each}}, lambda found: found) for each in thread_ids}
        if not any(found.values()):
            raise ThreadGone(thread_ids[0])
        return ListedThreads(found, self._encoder)


class ListedThreads:
    """Threads that were listed.

    Args:
        found: the checkpoints of each thread.
        encoder: makes records of them.
    """

    def __init__(self, found: Mapping[str, Sequence[CheckpointTuple]], encoder: Encoder) -> None:
        self._found = found
        self._encoder = encoder

    async def records(self, thread_id: str) -> AsyncGenerator[Imported, None]:
        """See `ThreadRecords.records`."""
        checkpoints = sorted(self._found[thread_id], key=lambda found: _key_of(found)[1:])
        for record in (*self._checkpoints(checkpoints), *self._writes(checkpoints)):
            yield record

    def _checkpoints(self, found: Iterable[CheckpointTuple]) -> Iterator[Imported]:
        seen: dict[tuple[str, str, str], int | None] = {}
        for each in found:
            key = _key_of(each)
            new, own_versions = self._sorted_channels(key, each, seen)
            parent = (each.parent_config or {}).get("configurable", {}).get("checkpoint_id")
            at = NewCheckpointKey(key, parent, _time(each))
            # The metadata is the source's own: nothing of a config is merged into it.
            yield Imported(self._encoder.checkpoint({}, at, each.checkpoint, each.metadata or {}, new, own_versions))

    def _sorted_channels(
        self, key: CheckpointKey, found: CheckpointTuple, seen: dict[tuple[str, str, str], int | None]
    ) -> tuple[list[str], list[str]]:
        """The channels whose values are to be stored, and those that have another value, or none, elsewhere under their version."""
        new: list[str] = []
        own_versions: list[str] = []
        given = found.checkpoint.get("channel_values", {})
        versions = found.checkpoint.get("channel_versions", {})
        for channel, version in versions.items():
            row = (key.checkpoint_ns, channel, str(version))
            mark = hash(PLAIN.dumps_typed(given[channel])) if channel in given else None
            is_known = row in seen
            if is_known and seen[row] != mark:
                own_versions.append(channel)
            if channel in given and (not is_known or seen[row] != mark):
                new.append(channel)
            seen.setdefault(row, mark)
        return new, own_versions

    def _writes(self, found: Iterable[CheckpointTuple]) -> Iterator[Imported]:
        for each in found:
            positions: dict[str, int] = {}
            for number, (task_id, channel, value) in enumerate(each.pending_writes or ()):
                idx = positions[task_id] = positions.get(task_id, -1) + 1
                # Paths that sort as the source had the writes; LangGraph's own begin with "~", which sorts after digits.
                path = f"{number:06}"
                made = self._encoder.writes(_key_of(each), [(channel, value)], task_id, path, _time(each))
                (write,) = made.writes
                yield Imported(NewWrites(*made[:4], [write._replace(idx=WRITES_IDX_MAP.get(channel, idx))], replace=False))

    def close(self) -> None:
        """Nothing is held."""


async def _on_loop(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))


def _key_of(found: CheckpointTuple) -> CheckpointKey:
    configurable = found.config["configurable"]
    return CheckpointKey(str(configurable["thread_id"]), configurable.get("checkpoint_ns", ""), str(found.checkpoint["id"]))


def _time(found: CheckpointTuple) -> int:
    return time_of(found.checkpoint.get("ts"), str(found.checkpoint["id"]))


def _summary(found: CheckpointTuple) -> tuple[str, str, int, Mapping[str, Any]]:
    key = _key_of(found)
    return key.thread_id, key.checkpoint_id, _time(found), dict(found.metadata or {})
