"""A whole copy of a thread: copy its rows, show its checkpoints, and begin again if something was deleted meanwhile."""

from __future__ import annotations

from functools import partial

from ckptstore.errors import DatabaseUnavailable
from ckptstore.maintenance.copy import Position, ThreadCopy, begin_copy, checkpoint_count, copy_ranges, next_ranges, show
from ckptstore.maintenance.prune_plan import keep_all_but
from ckptstore.maintenance.prune_run import Pruner
from ckptstore.maintenance.turns import MaintainedThreads, take_turn
from ckptstore.records import StateFormat
from ckptstore.runtime.steps import Steps
from ckptstore.tags.keys import TagKeys

# A copy begins again when something of the thread was deleted. A prune of a large thread takes seconds, and then it is quiet.
_MAX_TRIES = 20


class ThreadCopier:
    """Copies threads in small transactions, between which others write.

    Args:
        store: runs the work.
        tag_keys: which metadata keys are in the tag index.
        state_format: what the checkpoints' metadata means.
    """

    def __init__(self, store: MaintainedThreads, tag_keys: TagKeys, state_format: StateFormat) -> None:
        self._store = store
        self._tag_keys = tag_keys
        self._state_format = state_format

    def copy(self, source: str, target: str) -> Steps[int]:
        """Copy everything that a thread has to another thread id. Objects are shared.

        Args:
            source: the id of the thread to copy; nothing is copied if there is no such thread.
            target: the id of the copy.

        Returns:
            How many checkpoints the target has afterwards.

        Raises:
            DatabaseUnavailable: checkpoints of one of the threads were deleted again and again; no checkpoint was copied.
        """
        for number in range(_MAX_TRIES):
            copy = yield from self._store.run_in_queue(partial(begin_copy, source=source, target=target), source, target)
            copied = copy and (yield from self._try(copy))
            if copy is None or copied:
                if number or (copied and copied.has_extra_rows):
                    yield from Pruner(self._store, self._state_format).threads([(target, keep_all_but(frozenset()))])
                return (yield from self._store.read(partial(checkpoint_count, thread_id=target)))
        raise DatabaseUnavailable("a thread lost checkpoints again and again while it was copied; copy it when nobody prunes it")

    def _try(self, copy: ThreadCopy) -> Steps[ThreadCopy | None]:
        """Copy and show everything; None if something was deleted meanwhile."""
        position: Position | None = Position(0)
        while position is not None:
            ranges, position = yield from self._store.read(partial(next_ranges, source=copy.source, position=position))
            yield from take_turn(self._store, partial(copy_ranges, copy=copy, ranges=ranges), copy.source, copy.target)
        left: ThreadCopy | None = copy
        for number, refs in enumerate(copy.parts):
            if left is not None:
                work = partial(show, copy=left, refs=refs, tag_keys=self._tag_keys, state_format=self._state_format, first=number == 0)
                left = yield from take_turn(self._store, work, copy.source, copy.target)
        return left
