"""Dry runs of a prune: what it would delete, counted in a reader's snapshot, which blocks no writer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.maintenance.prune_plan import CheckpointRef, Version
from ckptstore.maintenance.prune_thread import PruneTask, planned_at
from ckptstore.maintenance.reports import DeletedRows
from ckptstore.maintenance.thread_rows import ThreadStamp, read_stamp
from ckptstore.reads.rows import layout_of


def estimate_tasks(db: Db, tasks: Sequence[PruneTask]) -> list[PruneTask]:
    """Count what all stages of each task and its sweep would delete, in one snapshot: exactly what a real run deletes then."""
    db.expect_long()
    with db.snapshot():
        return [_estimate(db, task, read_stamp(db, task.request.thread_id)) for task in tasks]


def _estimate(db: Db, task: PruneTask, stamp: ThreadStamp | None) -> PruneTask:
    if stamp is None:
        return task._replace(stages=(), is_swept=True, deleted=DeletedRows())
    task = planned_at(db, task, stamp)
    stages = [planned.stage for planned in task.stages]
    deleted = _Deletion({ref for stage in stages for ref in stage.deleted}, {version for stage in stages for version in stage.values})
    counts = deleted.counts(db, task.request.thread_id, task.request.cutoff(stamp), sum(len(stage.removed) for stage in stages))
    return task._replace(stages=(), is_swept=True, deleted=counts, deleted_anything=counts != DeletedRows())


class _WriteSize(NamedTuple):
    """One row of `sizes_of_writes`."""

    checkpoint_ns: str
    checkpoint_id: str
    created_at: int
    length: int
    layout: str | None


class _ValueSize(NamedTuple):
    """One row of `sizes_of_values`."""

    checkpoint_ns: str
    channel: str
    version: str
    length: int
    layout: str | None


class _SegmentSize(NamedTuple):
    """One row of `sizes_of_segments`."""

    digest: str
    length: int
    object_key: str | None
    #: JSON of the digests of other segments, if it lists some.
    listing: bytes | None


@dataclass
class _Deletion:
    """What a prune deletes of a thread, and what the values and writes that are kept name."""

    checkpoints: Set[CheckpointRef]
    values: Set[Version]
    #: The digests in the layouts that are kept.
    named: set[str] = field(default_factory=set)

    def counts(self, db: Db, thread_id: str, cutoff: int | None, removed: int) -> DeletedRows:
        thread = {"thread_id": thread_id}
        bodies = {CheckpointRef(namespace, id_): length for namespace, id_, length in db.run(sql.prune.sizes_of_checkpoints, thread)}
        all_writes = [_WriteSize(*row) for row in db.run(sql.prune.sizes_of_writes, thread)]
        writes = list(self._deleted_writes(all_writes, bodies.keys(), cutoff))
        values = list(self._deleted_values(_ValueSize(*row) for row in db.run(sql.prune.sizes_of_values, thread)))
        segments = self._deleted_segments([_SegmentSize(*row) for row in db.run(sql.prune.sizes_of_segments, thread)])
        deleted_bodies = [length for ref, length in bodies.items() if ref in self.checkpoints]
        return DeletedRows(
            deleted_threads=len(deleted_bodies) == len(bodies) and len(writes) == len(all_writes),
            checkpoints=removed,
            writes=len(writes),
            values=len(values),
            segments=len(segments),
            bytes=sum(
                [*deleted_bodies, *(each.length for each in writes), *(each.length for each in values), *(each.length for each in segments)]
            ),
            object_keys=tuple(each.object_key for each in segments if each.object_key is not None),
        )

    def _deleted_writes(self, writes: Iterable[_WriteSize], stored: Set[CheckpointRef], cutoff: int | None) -> Iterator[_WriteSize]:
        for write in writes:
            ref = CheckpointRef(write.checkpoint_ns, write.checkpoint_id)
            if ref in self.checkpoints or (cutoff is not None and ref not in stored and write.created_at < cutoff):
                yield write
            else:
                self._keep(write.layout)

    def _deleted_values(self, values: Iterable[_ValueSize]) -> Iterator[_ValueSize]:
        for value in values:
            if (value.checkpoint_ns, value.channel, value.version) in self.values:
                yield value
            else:
                self._keep(value.layout)

    def _deleted_segments(self, segments: Sequence[_SegmentSize]) -> list[_SegmentSize]:
        for segment in segments:
            if segment.listing is not None and segment.digest in self.named:
                self._add(f"segment {segment.digest!r}", segment.listing)
        return [segment for segment in segments if segment.digest not in self.named]

    def _keep(self, layout: str | None) -> None:
        if layout is not None:
            self._add("a value or a write", layout)

    def _add(self, owner: str, names: str | bytes) -> None:
        self.named.update(part for part in layout_of(owner, names) if isinstance(part, str))
