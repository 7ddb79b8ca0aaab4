"""What the maintenance operations return: counts of rows, objects and bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple

from ckptstore.records import CheckpointKey


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """How many rows were deleted, and the bytes that they held in the database."""

    #: Threads of which nothing is left.
    deleted_threads: int = 0
    #: Checkpoints that readers no longer find: deleted, or hidden because other checkpoints are rebuilt from them.
    checkpoints: int = 0
    writes: int = 0
    values: int = 0
    segments: int = 0
    #: Stored bytes of the payloads, without those that are in objects.
    bytes: int = 0

    def counts(self) -> dict[str, int]:
        """The fields of `RowCounts`, by name."""
        return {each.name: getattr(self, each.name) for each in fields(RowCounts)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedRows(RowCounts):
    """What one transaction deleted."""

    #: The object of each deleted segment that had one.
    object_keys: tuple[str, ...] = ()

    def __add__(self, other: DeletedRows) -> DeletedRows:
        """The sum, field by field."""
        return DeletedRows(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneReport(RowCounts):
    """What a prune deleted, or with `dry_run` would have deleted."""

    #: Threads from which anything was deleted.
    threads: int = 0
    #: Objects in the blob backend that nothing refers to any more. Garbage collection deletes them after its grace period.
    objects: int = 0
    object_bytes: int = 0
    #: Whether `should_stop` ended the run early. What it deleted is committed; the next run continues.
    stopped: bool = False
    dry_run: bool = field(default=False, compare=False)
    seconds: float = field(default=0.0, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for logs and JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CollectReport:
    """What one garbage collection pass did, or with `dry_run` would have done."""

    #: Unreferenced objects that this pass marked; a later pass deletes them.
    marked: int = 0
    #: Marked objects that are referred to again, and live again.
    unmarked: int = 0
    #: Objects that this pass deleted.
    deleted: int = 0
    #: The bytes of the deleted objects.
    deleted_bytes: int = 0
    #: Files of uploads that never finished, which this pass deleted. They were no objects.
    unfinished: int = 0
    #: Keys of objects that the backend failed to delete; the next pass tries again.
    failed: Sequence[str] = field(default=())
    #: Whether a backup is under way: then nothing is marked or deleted.
    held: bool = False
    dry_run: bool = False


@dataclass(slots=True)
class VerifyReport:
    """What a verification found; `ok` is True if nothing is missing or corrupt."""

    #: Objects that were checked, and their bytes.
    objects: int = 0
    object_bytes: int = 0
    #: Segments that were checked, whether their bytes are in the database or in an object.
    segments: int = 0
    #: Rows of checkpoints, values and writes that were looked at, and how many of them have no checksum: they are from before schema
    #: revision 0005, and what is wrong in them is not noticed.
    rows: int = 0
    unchecked_rows: int = 0
    #: Keys of registered objects that the backend does not have.
    missing_objects: list[str] = field(default_factory=list)
    #: (thread, digest) of segments that a value consists of and that are not in the database.
    missing_segments: list[tuple[str, str]] = field(default_factory=list)
    #: Checkpoints that have fewer values than they were stored with.
    incomplete_checkpoints: list[CheckpointKey] = field(default_factory=list)
    #: Threads that have more or fewer checkpoints than their row counts, or no row: a checkpoint was lost, or hidden by accident.
    wrong_counts: list[str] = field(default_factory=list)
    #: Checkpoints that a filter may miss: some of the tags that their metadata gives are lost. `rebuild_tags` makes them again.
    untagged_checkpoints: list[CheckpointKey] = field(default_factory=list)
    #: Keys of objects of the wrong size (with `deep`: or content), digests of segments with the wrong content, and descriptions of
    #: rows with a wrong checksum.
    corrupt: list[str] = field(default_factory=list)
    #: With `deep`: keys of objects that the backend has and fails to read, for example on a bad sector; the log has the reasons.
    unreadable_objects: list[str] = field(default_factory=list)
    #: (thread, digest) of segments whose object is not registered, still `pending` or already `deleting`; without a
    #: backend, of every segment that is in an object.
    broken_references: list[tuple[str, str]] = field(default_factory=list)
    #: With `deep`: what SQLite finds wrong in its file. Parts of the database that can't be read at all are here too.
    database_faults: list[str] = field(default_factory=list)
    #: Keys in the backend that no row registers. They are harmless; ckptstore never deletes what it did not register.
    unregistered_objects: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing that was checked is missing or corrupt. Unregistered objects and unchecked rows don't count."""
        missing = self.missing_objects or self.missing_segments or self.incomplete_checkpoints or self.wrong_counts
        return not (
            missing
            or self.untagged_checkpoints
            or self.corrupt
            or self.unreadable_objects
            or self.broken_references
            or self.database_faults
        )


@dataclass(slots=True)
class ReencryptReport:
    """What a change of the serialiser has stored anew."""

    #: Bodies of checkpoints, values of channels, and tasks' writes under the new serialiser.
    checkpoints: int = 0
    values: int = 0
    writes: int = 0
    #: Rows that the new serialiser could read already.
    done_before: int = 0
    #: Rows that were replaced or deleted while they were stored anew. If there are any, run it again.
    changed_meanwhile: int = 0


#: What an erasure does not reach, for its report.
NOT_REACHED = (
    "backups, replicas and copies of the database and of the blobs",
    "pages that the database has freed and not yet written over, and its write-ahead log: run ckptstore vacuum --full",
    "memory, logs and cache folders (BlobSettings.cache_folder) of processes that have read or written it",
)


@dataclass(slots=True)
class EraseReport:
    """What was erased, when, and what the erasure does not reach."""

    #: When it began and ended, in UTC.
    started_at: datetime
    ended_at: datetime
    #: Ids of the threads that were deleted, or with `dry_run` would be.
    threads: list[str] = field(default_factory=list)
    checkpoints: int = 0
    writes: int = 0
    values: int = 0
    segments: int = 0
    #: Blobs that only these threads referred to, which were deleted, and their bytes.
    objects: int = 0
    object_bytes: int = 0
    #: Blobs that other threads refer to too; they are kept.
    shared_objects: int = 0
    #: Blobs that are left to the collector, because a period of grace was asked for.
    objects_left: int = 0
    #: Keys of blobs that the backend failed to delete; the collector tries again.
    failed: list[str] = field(default_factory=list)
    #: Whether texts of these threads' tags are left in the index of tags, which none of its rows has any more: others never stopped
    #: writing. The next prune by a policy deletes them.
    tag_values_left: bool = False
    #: What remains elsewhere.
    not_reached: tuple[str, ...] = NOT_REACHED
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return {**asdict(self), "started_at": self.started_at.isoformat(), "ended_at": self.ended_at.isoformat()}


class VacuumReport(NamedTuple):
    """The size before and after: of the SQLite file without its write-ahead log, or of ckptstore's tables and indexes."""

    before_bytes: int
    after_bytes: int
