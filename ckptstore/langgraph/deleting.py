"""Deleting, pruning and copying of threads, as LangGraph's interface names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ckptstore.errors import InvalidConfig, brief
from ckptstore.langgraph.base import SaverBase
from ckptstore.langgraph.config import check_ids, require_ids, require_text, run_ids_of, thread_id_of
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.maintenance.prune_plan import Rule, keep_newest, keep_nothing
from ckptstore.records import Posting
from ckptstore.runtime.steps import Steps, drive, drive_async
from ckptstore.tags.filter_input import MAX_VALUES

if TYPE_CHECKING:
    from ckptstore.maintenance.reports import DeletedRows, PruneReport


def _part(newest: int | None, at: str | None) -> Rule:
    # Loaded at its first use, like all that copies threads: most processes never do.
    from ckptstore.transfer.selection import newest_rule, only

    if newest is not None and at is not None:
        raise InvalidConfig("give either newest or at")
    if at is not None:
        return only(require_text(at, "checkpoint id"))
    if isinstance(newest, bool) or not isinstance(newest, int) or newest < 1:
        raise InvalidConfig(f"newest must be a whole number of at least 1, got {brief(newest)}")
    return newest_rule(newest, 0)


_PRUNE_RULES = {"keep_latest": keep_newest, "delete": keep_nothing}


class Deleting(SaverBase):
    """The part of the saver that deletes and copies threads."""

    def delete_thread(self, thread_id: str) -> None:
        """Delete everything that a thread has: checkpoints, writes, values, tags. Its blobs are left to the garbage collector.

        A large thread is deleted in small transactions, oldest checkpoints first, so that others write meanwhile: readers find fewer and
        fewer checkpoints, each whole. What is put to the thread after this call is kept. A deletion that ended midway, because the process
        died or its task was cancelled, is finished by the next call, by the next prune by a policy (background retention, `prune_by`,
        `ckptstore prune`), before anything is copied or imported to the thread, and before the store moves.
        """
        drive(self._delete_thread(thread_id))

    async def adelete_thread(self, thread_id: str) -> None:
        """See `delete_thread`."""
        await drive_async(self._delete_thread(thread_id))

    def _delete_thread(self, thread_id: str) -> Steps[DeletedRows]:
        named = thread_id_of(thread_id)
        return self.store.wherever(lambda: self.store.delete_thread(named))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints whose metadata has one of these run ids.

        Checkpoints that a remaining one is rebuilt from are hidden, and deleted when no checkpoint needs them any more.

        Raises:
            InvalidConfig: `run_ids` is a single string.
            KeyNotIndexed: the saver's `tag_keys` exclude `run_id`.
        """
        drive(self._delete_for_runs(run_ids))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """See `delete_for_runs`."""
        await drive_async(self._delete_for_runs(run_ids))

    def _delete_for_runs(self, run_ids: Sequence[str]) -> Steps[PruneReport]:
        runs = run_ids_of(run_ids)
        parts = [runs[start : start + MAX_VALUES] for start in range(0, len(runs) or 1, MAX_VALUES)]
        wanted = [self._parse_filter({"run_id": {"$in": part}}).required[0] for part in parts]
        postings = [Posting(each.key, value) for each in wanted for value in each.values]
        return (yield from self.store.wherever(lambda: self.store.delete_with_postings(postings)))

    def copy_thread(self, source_thread_id: str, target_thread_id: str, *, newest: int | None = None, at: str | None = None) -> None:
        """Copy everything that a thread has to another thread id, inside the database. Blobs are shared.

        Metadata that names the thread under `thread_id`, as LangGraph's server writes it, names the new one. With `newest` or `at`, a part
        is copied, in one transaction and to a new thread only, with what it is rebuilt from.

        A large thread is copied in small transactions, so that others write meanwhile. The target's checkpoints are found when all rows
        are copied: at once, or, of more than 1,000, newest first, as of a thread that was pruned. What is put to the source meanwhile may
        be missing. Rows that the target has already under the same keys stay as they are, also if they were put, or copied from
        elsewhere, meanwhile. If one of the threads is pruned or deleted meanwhile, the copy begins again: it is one of what remained.

        A copy that ended midway, because the process died or its task was cancelled, is finished by the next call; without one, its rows
        are deleted by a prune or a deletion of the target.

        Args:
            source_thread_id: the thread to copy.
            target_thread_id: the id of the copy.
            newest: copy only so many of the newest checkpoints of each namespace.
            at: copy only the checkpoint of the root graph with this id, and what ran under it.

        Raises:
            DatabaseUnavailable: one of the threads lost checkpoints again and again meanwhile.
            ThreadExists: a part was to be copied, and there is a thread with the new id.
            InvalidConfig: there is no such part, or both `newest` and `at` are given.
        """
        drive(self._copy_thread(source_thread_id, target_thread_id, newest, at))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str, *, newest: int | None = None, at: str | None = None) -> None:
        """See `copy_thread`."""
        await drive_async(self._copy_thread(source_thread_id, target_thread_id, newest, at))

    def _copy_thread(self, source_thread_id: str, target_thread_id: str, newest: int | None, at: str | None) -> Steps[int]:
        from ckptstore.transfer.part_of_thread import copy_part

        source, target = thread_id_of(source_thread_id), thread_id_of(target_thread_id)
        check_ids({"thread_id": target})
        if newest is None and at is None:
            return (yield from self.store.wherever(lambda: self.store.copy_thread(source, target)))
        part = _part(newest, at)
        return (yield from self.store.wherever(lambda: copy_part(self.store, source, target, part, LANGGRAPH, self._now)))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete all checkpoints of these threads but the newest (`keep_latest`), or all of them (`delete`).

        `keep_latest` keeps the root graph's newest checkpoint with those of the subgraphs that ran under it, and the newest state of
        each subgraph that has its own. Ancestors that these are rebuilt from are hidden, back to a `DeltaChannel`'s last snapshot.

        Args:
            thread_ids: the threads.
            strategy: `keep_latest` or `delete`.

        Raises:
            InvalidConfig: the strategy is unknown, or `thread_ids` is a single string.
        """
        drive(self._prune(thread_ids, strategy))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """See `prune`."""
        await drive_async(self._prune(thread_ids, strategy))

    def _prune(self, thread_ids: Sequence[str], strategy: str) -> Steps[PruneReport]:
        rule = _PRUNE_RULES.get(strategy) if isinstance(strategy, str) else None
        if rule is None:
            raise InvalidConfig(f"unknown prune strategy {brief(strategy)}; the known ones are {', '.join(_PRUNE_RULES)}")
        ids = [thread_id_of(thread_id) for thread_id in require_ids(thread_ids, "thread_ids")]
        return (yield from self.store.wherever(lambda: self.store.prune(ids, rule)))
