"""What is measured of a PostgreSQL store of one size, and its form as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Part:
    """A table or an index.

    Attributes:
        table: the name of the table, or of the table that the index belongs to.
        rows: how many the table has, by the planner's statistics after a VACUUM.
        bytes: with what is stored out of line, without indexes.
    """

    table: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Load:
    """What a number of steps cost; a step is one `aput` with five tags and one `aput_writes`.

    Attributes:
        per_second: steps.
        log_bytes: of the write-ahead log, without images of whole pages.
        page_images: whole pages in the log, each up to 8 KiB: the first change of a page after each checkpoint of the server.
        commits: transactions that the server committed.
        updates: by table, rows updated.
        hot_updates: by table, those that needed no entry in any index.
    All but `per_second` are for each step.
    """

    per_second: float
    log_bytes: float
    page_images: float
    commits: float
    updates: Mapping[str, float]
    hot_updates: Mapping[str, float]


@dataclass(frozen=True)
class Frozen:
    """What `VACUUM (FREEZE)` of a store cost that no vacuum had seen before.

    Attributes:
        seconds: it took.
        log_bytes: it wrote to the write-ahead log, with images of pages.
        page_images: whole pages among these.
        pages: how often it asked for a page of 8 KiB.
        revision: of the schema.
        load_average: of the machine before it, when it had just filled the store: more than about 1 is other work.
    """

    seconds: float
    log_bytes: int
    page_images: int
    pages: int
    revision: str
    load_average: float


@dataclass(frozen=True)
class Measured:
    """A store of one size.

    Attributes:
        checkpoints: how many it has.
        parts: its tables and indexes by name.
        loads: by the number of tasks at once, on top of that store.
        vacuum_seconds: of a second VACUUM: what reading the visibility maps and indexes takes.
        freeze_seconds: of VACUUM (FREEZE) after the loads: pages that the first VACUUM froze are skipped.
        freeze_all: of the first VACUUM, of everything; None where it was not measured.
    """

    checkpoints: int
    parts: Mapping[str, Part]
    loads: Mapping[int, Load]
    vacuum_seconds: float
    freeze_seconds: float
    freeze_all: Frozen | None = None

    @property
    def bytes(self) -> int:
        """All tables and indexes."""
        return sum(part.bytes for part in self.parts.values())

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Measured:
        """What `to_dict` gave, after JSON."""
        parts = {name: Part(**part) for name, part in record["parts"].items()}
        loads = {int(tasks): Load(**load) for tasks, load in record["loads"].items()}
        freeze_all = record.get("freeze_all")
        frozen = Frozen(**freeze_all) if freeze_all else None
        return cls(**{**record, "parts": parts, "loads": loads, "freeze_all": frozen})
