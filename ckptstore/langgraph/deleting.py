"""Deleting, pruning and copying of threads, as LangGraph's interface names them."""

from __future__ import annotations

from collections.abc import Sequence

from ckptstore.errors import InvalidConfig, brief
from ckptstore.langgraph.base import SaverBase
from ckptstore.langgraph.config import check_ids, require_ids, run_ids_of, thread_id_of
from ckptstore.maintenance.prune_plan import keep_newest, keep_nothing
from ckptstore.maintenance.reports import PruneReport
from ckptstore.records import Posting
from ckptstore.runtime.steps import Steps, drive, drive_async
from ckptstore.tags.filter_input import MAX_VALUES

_PRUNE_RULES = {"keep_latest": keep_newest, "delete": keep_nothing}


class Deleting(SaverBase):
    """The part of the saver that deletes and copies threads."""

    def delete_thread(self, thread_id: str) -> None:
        """Delete everything that a thread has: checkpoints, writes, values, tags. Its blobs are left to the garbage collector.

        A large thread is deleted in small transactions, oldest checkpoints first, so that others write meanwhile: readers find fewer and
        fewer checkpoints, each whole. What is put to the thread after this call stays. A deletion that ended midway, because the process
        died or its task was cancelled, is finished by the next call, or by the next prune by a policy (background retention, `prune_by`,
        `ckptstore prune`).
        """
        drive(self.store.delete_thread(thread_id_of(thread_id)))

    async def adelete_thread(self, thread_id: str) -> None:
        """See `delete_thread`."""
        await drive_async(self.store.delete_thread(thread_id_of(thread_id)))

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
        return (yield from self.store.delete_with_postings([Posting(each.key, value) for each in wanted for value in each.values]))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy everything that a thread has to another thread id, inside the database. Blobs are shared.

        A large thread is copied in small transactions, so that others write meanwhile. The target's checkpoints are found when all rows
        are copied: at once, or, of more than 1,000, newest first, as of a thread that was pruned. What is put to the source meanwhile may
        be missing. Rows that the target has already under the same keys stay as they are, also if they were put, or copied from
        elsewhere, meanwhile. If one of the threads is pruned or deleted meanwhile, the copy begins again: it is one of what remained.

        A copy that ended midway, because the process died or its task was cancelled, is finished by the next call; without one, its rows
        are deleted by a prune or a deletion of the target.

        Raises:
            DatabaseUnavailable: one of the threads lost checkpoints again and again meanwhile.
        """
        drive(self._copy_thread(source_thread_id, target_thread_id))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """See `copy_thread`."""
        await drive_async(self._copy_thread(source_thread_id, target_thread_id))

    def _copy_thread(self, source_thread_id: str, target_thread_id: str) -> Steps[int]:
        source, target = thread_id_of(source_thread_id), thread_id_of(target_thread_id)
        check_ids({"thread_id": target})
        return (yield from self.store.copy_thread(source, target))

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
        return (yield from self.store.prune(ids, rule))
