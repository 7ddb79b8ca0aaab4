"""Any saver as the source of an import, by the methods that LangGraph calls. Objects are built, by the saver's own serialiser.

A listing gives the ids; the checkpoints themselves are read some at a time, so that memory stays flat for threads of any length.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping, Sequence
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
# Read, and held as objects, at a time.
_CHECKPOINTS_PER_PAGE = 50
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
        """Nothing: the caller that opened the saver closes it."""

    async def _each(self, config: RunnableConfig | None, take: Callable[[CheckpointTuple], object]) -> None:
        """Call a function with each checkpoint of a listing; none is held."""
        if self._loop is not None:
            try:
                await _on_loop(self._loop, self._each_async(config, take))
                return
            except NotImplementedError:
                # A saver without asynchronous methods.
                self._loop = None
        await asyncio.to_thread(self._each_here, config, take)

    async def _each_async(self, config: RunnableConfig | None, take: Callable[[CheckpointTuple], object]) -> None:
        async for found in self._saver.alist(config):
            take(found)

    def _each_here(self, config: RunnableConfig | None, take: Callable[[CheckpointTuple], object]) -> None:
        for found in self._saver.list(config):
            take(found)

    async def _get(self, keys: Sequence[CheckpointKey]) -> list[CheckpointTuple | None]:
        """Some checkpoints; None for one that does not exist any more."""
        configs: list[RunnableConfig] = [{"configurable": key._asdict()} for key in keys]
        if self._loop is not None:
            return await _on_loop(self._loop, self._get_async(configs))
        return await asyncio.to_thread(lambda: [self._saver.get_tuple(config) for config in configs])

    async def _get_async(self, configs: Sequence[RunnableConfig]) -> list[CheckpointTuple | None]:
        return [await self._saver.aget_tuple(config) for config in configs]

    # --- threads

    async def threads(self, choice: Choice) -> AsyncGenerator[Sequence[SourceThread], None]:
        """See `RecordReader.threads`."""
        chosen: dict[str, tuple[int, str]] = {}

        def take(found: CheckpointTuple) -> None:
            key = _key_of(found)
            count, newest = chosen.get(key.thread_id, (0, ""))
            matches = choice.wanted is None or choice.wanted.matches(dict(found.metadata or {}))
            if matches and (choice.since is None or _time(found) >= choice.since):
                chosen[key.thread_id] = (count + 1, max(newest, key.checkpoint_id))

        await self._each_chosen(choice, take)
        threads = [
            SourceThread(each, [count, newest], 2**62, count, count * _BYTES_PER_CHECKPOINT)
            for each, (count, newest) in sorted(chosen.items())
        ]
        for start in range(0, len(threads), _THREADS_PER_PAGE):
            yield threads[start : start + _THREADS_PER_PAGE]

    async def _each_chosen(self, choice: Choice, take: Callable[[CheckpointTuple], object]) -> None:
        if choice.thread_ids is not None:
            for each in choice.thread_ids:
                await self._each({"configurable": {"thread_id": each}}, take)
            return
        try:
            await self._each(None, take)
        except Exception as exc:
            raise InvalidSource(
                f"{self._name} can't list the checkpoints of all threads ({type(exc).__name__}: {exc}); name the threads to import"
            ) from exc

    # --- records

    async def open(self, thread_ids: Sequence[str]) -> NamedCheckpoints:
        """See `RecordReader.open`."""
        keys: dict[str, list[CheckpointKey]] = {}
        for each in thread_ids:
            found = keys[each] = []
            await self._each({"configurable": {"thread_id": each}}, lambda one, found=found: found.append(_key_of(one)))  # type: ignore[misc]
            found.sort()
        if not any(keys.values()):
            raise ThreadGone(thread_ids[0])
        return NamedCheckpoints(keys, self._get, self._encoder)


class NamedCheckpoints:
    """Threads whose checkpoints are read a page at a time, the oldest of each namespace first.

    Args:
        keys: the checkpoints of each thread.
        get: reads some of them.
        encoder: makes records of them.
    """

    def __init__(
        self,
        keys: Mapping[str, Sequence[CheckpointKey]],
        get: Callable[[Sequence[CheckpointKey]], Coroutine[Any, Any, list[CheckpointTuple | None]]],
        encoder: Encoder,
    ) -> None:
        self._keys, self._get, self._encoder = keys, get, encoder

    async def records(self, thread_id: str) -> AsyncGenerator[Imported, None]:
        """See `ThreadRecords.records`; the writes of a checkpoint come with it."""
        keys = self._keys[thread_id]
        # Hashes only: a thread may have any number of checkpoints.
        seen: dict[int, int | None] = {}
        for start in range(0, len(keys), _CHECKPOINTS_PER_PAGE):
            for found in await self._get(keys[start : start + _CHECKPOINTS_PER_PAGE]):
                # Another one where a saver keeps only the newest.
                if found is not None and _key_of(found) in keys[start : start + _CHECKPOINTS_PER_PAGE]:
                    yield self._checkpoint(found, seen)
                    for write in self._writes(found):
                        yield write

    def _checkpoint(self, found: CheckpointTuple, seen: dict[int, int | None]) -> Imported:
        key = _key_of(found)
        new, own_versions = self._sorted_channels(key, found, seen)
        parent = (found.parent_config or {}).get("configurable", {}).get("checkpoint_id")
        at = NewCheckpointKey(key, parent, _time(found))
        # The metadata is the source's own: nothing of a config is merged into it.
        return Imported(self._encoder.checkpoint({}, at, found.checkpoint, found.metadata or {}, new, own_versions))

    def _sorted_channels(self, key: CheckpointKey, found: CheckpointTuple, seen: dict[int, int | None]) -> tuple[list[str], list[str]]:
        """The channels whose values are to be stored, and those that have another value, or none, elsewhere under their version."""
        new: list[str] = []
        own_versions: list[str] = []
        given = found.checkpoint.get("channel_values", {})
        versions = found.checkpoint.get("channel_versions", {})
        for channel, version in versions.items():
            row = hash((key.checkpoint_ns, channel, str(version)))
            mark = hash(PLAIN.dumps_typed(given[channel])) if channel in given else None
            is_known = row in seen
            if is_known and seen[row] != mark:
                own_versions.append(channel)
            if channel in given and (not is_known or seen[row] != mark):
                new.append(channel)
            seen.setdefault(row, mark)
        return new, own_versions

    def _writes(self, found: CheckpointTuple) -> Iterator[Imported]:
        positions: dict[str, int] = {}
        for number, (task_id, channel, value) in enumerate(found.pending_writes or ()):
            idx = positions[task_id] = positions.get(task_id, -1) + 1
            # Paths that sort as the source had the writes; LangGraph's own begin with "~", which sorts after digits.
            path = f"{number:06}"
            made = self._encoder.writes(_key_of(found), [(channel, value)], task_id, path, _time(found))
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
