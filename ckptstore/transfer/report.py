"""What a transfer did."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class TransferReport:
    """What a copy or an import brought to its target; `ok` is True if nothing failed and nothing was left out because of a conflict."""

    #: Threads that are new at the target.
    threads: int = 0
    #: Threads that were there from an earlier run and were brought up to date.
    updated_threads: int = 0
    #: Threads that are at the target as they are at the source.
    unchanged_threads: int = 0
    #: Threads that were deleted at the target (`mirror`), because the source does not have them any more.
    deleted_threads: int = 0
    #: Threads that are at the target with something else, and were left as they are.
    skipped_threads: list[str] = field(default_factory=list)
    #: Thread -> why it was not transferred.
    failed_threads: dict[str, str] = field(default_factory=dict)
    #: Threads that were named, and are not at the source.
    missing_threads: list[str] = field(default_factory=list)
    #: Rows that were stored.
    checkpoints: int = 0
    writes: int = 0
    values: int = 0
    segments: int = 0
    #: Bytes of the payloads of these rows.
    bytes: int = 0
    #: Objects that were copied to the target's blob storage, and their bytes.
    objects: int = 0
    object_bytes: int = 0
    #: Rows that were read back from the target and compared with the source's.
    verified_rows: int = 0
    #: Checkpoints that were read through both savers and compared as objects.
    compared_checkpoints: int = 0
    #: Whether the run was ended early. What was stored is kept, and the next run continues.
    stopped: bool = False
    seconds: float = field(default=0.0, compare=False)

    @property
    def ok(self) -> bool:
        """Whether nothing failed, and no thread was skipped."""
        return not self.failed_threads and not self.skipped_threads

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for logs and JSON."""
        return asdict(self)
