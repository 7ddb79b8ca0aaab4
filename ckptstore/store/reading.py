"""Reading whole checkpoints: rows first, then the large values that objects hold."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from ckptstore.db.runner import Work
from ckptstore.errors import BlobMissing
from ckptstore.maintenance.reindex import stored_keys
from ckptstore.reads import checkpoints as reads
from ckptstore.reads.delta_history import load_history
from ckptstore.reads.one_checkpoint import OneCheckpoint
from ckptstore.reads.plans import CheckpointQuery
from ckptstore.reads.tag_keys import keys_in_use
from ckptstore.records import ChannelHistory, CheckpointKey, LoadedCheckpoint
from ckptstore.runtime.steps import Steps, drive
from ckptstore.store.base import StoreBase
from ckptstore.tags.encoding import readable_path
from ckptstore.tags.filters import Filter
from ckptstore.values.decode import Loaded, SegmentSet

T = TypeVar("T")

_MAX_USED_KEYS = 10_000

logger = logging.getLogger(__name__)


class StoreReading(StoreBase):
    """The part of the store that reads checkpoints."""

    def checkpoint(self, thread_id: str, checkpoint_ns: str, checkpoint_id: str | None) -> Steps[LoadedCheckpoint | None]:
        """The checkpoint with this id, or without an id the newest one of the namespace; None if there is none."""
        work = OneCheckpoint(thread_id, checkpoint_ns, checkpoint_id, self._state_format, self._cache, self._cached_reads)
        if self.replica is not None and self.replica.reads_newest:
            return self._load_stale(work, checkpoint_id)
        return self._load(work)

    def checkpoint_here(self, thread_id: str, checkpoint_ns: str, checkpoint_id: str | None) -> LoadedCheckpoint | None:
        """Like `checkpoint`, in plain code: on this thread where that is possible."""
        work = OneCheckpoint(thread_id, checkpoint_ns, checkpoint_id, self._state_format, self._cache, self._cached_reads)
        found = self.runner.try_read(work) if self._is_ready else None
        if found is not None and not found[0].segments.remote:
            return found[0].result
        return drive(self.checkpoint(thread_id, checkpoint_ns, checkpoint_id))

    def named(self, keys: Sequence[CheckpointKey]) -> Steps[Loaded[list[LoadedCheckpoint]]]:
        """The checkpoints with these keys, newest first, without the contents of objects; missing ones are left out."""
        return self.read(partial(reads.load_named, keys=keys, state_format=self._state_format, cache=self._cache))

    def page(self, search: CheckpointQuery, after: CheckpointKey | None, size: int, *, stale: bool) -> Steps[reads.Page]:
        """The next page of a listing, newest first, without the contents of objects: see `with_objects`.

        Args:
            search: which checkpoints to list.
            after: the last one of the page before; None for the first page.
            size: the largest number of checkpoints.
            stale: whether the page may be some seconds old, see `read_stale`.
        """
        work = partial(reads.load_page, search=search, after=after, size=size, state_format=self._state_format, cache=self._cache)
        return self.read_stale(work) if stale else self.read(work)

    def resolve_filter(self, wanted: Filter) -> Steps[Filter]:
        """The filter with those of its dotted keys that no checkpoint has read as keys of nested dicts.

        Raises:
            KeyNotIndexed: it asks for a key that is not in the index of this database, which a store for the command line does not know.
        """
        if self.wants_tags is None and (stored := (yield from self.read(stored_keys))) is not None:
            wanted = Filter.parse(dict(wanted.entries), stored, unindexed_when_empty=self._state_format.unindexed_when_empty)
        dotted = wanted.dotted
        if dotted and (unused := (yield from self._keys_not_in_use(dotted))):
            wanted = wanted.nested([dotted[path] for path in unused])
        self.monitor.searched(wanted.paths)
        return wanted

    def log_unused_keys(self, wanted: Filter) -> Steps[None]:
        """Log, once, each key that a filter needs and that no checkpoint has. The filter finds nothing, perhaps because of a mistake."""
        unused = yield from self._keys_not_in_use([path for path in wanted.paths if path not in self._logged_keys])
        for path in unused:
            if self._logged_keys.is_first(path):
                key = readable_path(path)
                fields = {"event": "unknown_key", "key": key}
                logger.warning("no checkpoint has the metadata key %r: filters on it find nothing", key, extra=fields)

    def _keys_not_in_use(self, paths: Iterable[str]) -> Steps[list[str]]:
        candidates = [path for path in paths if path not in self._used_keys]
        if not candidates:
            return []
        in_use = yield from self.read_stale(partial(keys_in_use, paths=candidates))
        if len(self._used_keys) < _MAX_USED_KEYS:
            self._used_keys |= in_use
        return [path for path in candidates if path not in in_use]

    def with_objects(self, checkpoints: Sequence[LoadedCheckpoint], segments: SegmentSet) -> Steps[list[LoadedCheckpoint]]:
        """These checkpoints with the contents of their objects; those that were pruned and collected meanwhile are left out.

        Args:
            checkpoints: some or all checkpoints of a page.
            segments: the segments of that page.

        Raises:
            BlobMissing: an object is missing, and the rows still refer to it.
        """
        wanted = segments.remote_segments(value for loaded in checkpoints for value in loaded.all_values)
        try:
            if wanted:
                fetched: Mapping[str, bytes] = yield self.downloads.fetch(wanted)
                segments.local.update(fetched)
            return list(checkpoints)
        except BlobMissing:
            found: list[LoadedCheckpoint] = []
            for loaded in checkpoints:
                reloaded = yield from self.checkpoint(*loaded.key)
                found.extend([reloaded] if reloaded is not None else [])
            return found

    def history(
        self, thread_id: str, checkpoint_ns: str, checkpoint_id: str | None, channels: Sequence[str]
    ) -> Steps[Mapping[str, ChannelHistory]]:
        """For each channel, its writes at the ancestors of a checkpoint, see `load_history`; without an id, of the newest one."""
        work = partial(
            load_history,
            thread_id=thread_id,
            checkpoint_ns=checkpoint_ns,
            checkpoint_id=checkpoint_id,
            channels=channels,
            cache=self._cache,
        )
        return self._load(work)

    def _load(self, work: Work[Loaded[T]]) -> Steps[T]:
        """Run work that loads values, then fetch the objects that they refer to."""
        if not self._is_ready:
            yield from self._ready()
        loaded: Loaded[T] = yield self.runner.read(work)
        if loaded.segments.remote:
            loaded = yield from self._with_remote(work, loaded)
        return loaded.result

    def _load_stale(self, work: OneCheckpoint, checkpoint_id: str | None) -> Steps[LoadedCheckpoint | None]:
        """Like `_load`, from the replica. A checkpoint that is named, and that it does not have yet, comes from the primary."""
        loaded: Loaded[LoadedCheckpoint | None] = yield from self.read_stale(work)
        if loaded.result is None and checkpoint_id is not None:
            return (yield from self._load(work))
        if loaded.segments.remote:
            loaded = yield from self._with_remote(work, loaded)
        return loaded.result

    def _with_remote(self, work: Work[Loaded[T]], loaded: Loaded[T]) -> Steps[Loaded[T]]:
        """What work has loaded, with the contents of its objects."""
        try:
            fetched: Mapping[str, bytes] = yield self.downloads.fetch(loaded.segments.remote_segments(loaded.values))
        except BlobMissing:
            # The checkpoint may have been pruned, and its objects collected, since the rows were read: read them again.
            loaded = yield from self.read(work)
            fetched = yield self.downloads.fetch(loaded.segments.remote_segments(loaded.values))
        loaded.segments.local.update(fetched)
        return loaded
