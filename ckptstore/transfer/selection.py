"""Which rows of a thread are transferred if only its newest checkpoints are wanted."""

from __future__ import annotations

from collections.abc import Iterable

from ckptstore.db.sql.tables import CHANNEL, SEGMENT, Row
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.maintenance.prune_nodes import stages_of
from ckptstore.maintenance.prune_plan import CheckpointRef, Rule, ThreadView, Version, newest_of


class Selection:
    """The rows that would be left of a thread after a prune that keeps its newest checkpoints.

    Args:
        left_out: the checkpoints that are not transferred, nor their writes.
        hidden: those that are transferred only because others are rebuilt from them.
        values: the values that are not transferred.
    """

    def __init__(self, left_out: Iterable[CheckpointRef], hidden: Iterable[CheckpointRef], values: Iterable[Version]) -> None:
        self._left_out, self._hidden, self._values = {*left_out}, {*hidden}, {*values}
        #: Names of the segments that the chosen values consist of; filled while those are read.
        self.segments: set[str] = set()

    @property
    def is_part(self) -> bool:
        """Whether something may be left out."""
        return True

    def leave_out(self, refs: Iterable[CheckpointRef]) -> None:
        """Leave out the writes of more checkpoints."""
        self._left_out.update(refs)

    def has(self, table: str, key: Row) -> bool:
        """Whether a row is transferred, given its key within the thread."""
        if table == CHANNEL.name:
            return key[:3] not in self._values
        if table == SEGMENT.name:
            return key[0] in self.segments
        return key[:2] not in self._left_out

    def hides(self, key: Row) -> bool:
        """Whether a visible checkpoint is transferred as a hidden one."""
        return key in self._hidden


class Everything(Selection):
    """All rows of a thread."""

    def __init__(self) -> None:
        super().__init__((), (), ())

    @property
    def is_part(self) -> bool:
        """See `Selection.is_part`."""
        return False

    def has(self, table: str, key: Row) -> bool:
        """See `Selection.has`."""
        return True


def newest_rule(number: int, now: int) -> Rule:
    """Keeps the newest checkpoints of each namespace, see `RetentionPolicy(keep_last=number)`."""
    return RetentionPolicy(keep_last=number).rule(now)


def only(checkpoint_id: str) -> Rule:
    """Keeps one checkpoint of the root graph, what ran under it, and what subgraphs with a state of their own had then."""

    def kept(view: ThreadView) -> set[CheckpointRef]:
        if CheckpointRef("", checkpoint_id) not in {node.ref for node in view.visible}:
            return set()
        until = [node for node in view.visible if node.root.checkpoint_id <= checkpoint_id]
        under = {node.ref for node in until if node.root == CheckpointRef("", checkpoint_id)}
        return under | newest_of((node for node in until if node.is_of_stateful_subgraph), 1)

    return kept


def select(thread_id: str, view: ThreadView, rule: Rule) -> Selection:
    """The rows of what a rule keeps of a thread, and of what that is rebuilt from.

    Raises:
        CheckpointCorrupt: the metadata of a checkpoint can't be parsed.
    """
    stages = stages_of(thread_id, view, rule, max(len(view.nodes), 1))
    left_out = {ref for stage in stages for ref in stage.deleted}
    hidden = {ref for stage in stages for ref in stage.hidden} - left_out
    return Selection(left_out, hidden, [value for stage in stages for value in stage.values])
