"""What the pages have in common: the store, what is hidden, and the states that were read lately."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.requests import Request

from ckptstore.errors import InvalidConfig
from ckptstore.inspection.outline import find_checkpoint
from ckptstore.inspection.stats import StoreStats
from ckptstore.inspector.store_options import FROM_ENVIRONMENT
from ckptstore.langgraph.config import require_text
from ckptstore.langgraph.inspection.redacted import redacted
from ckptstore.langgraph.inspection.state import CheckpointState, checkpoint_state
from ckptstore.langgraph.structure.reading import Decrypt
from ckptstore.langgraph.structure.redaction import NO_REDACTION, Redaction
from ckptstore.records import CheckpointKey
from ckptstore.runtime.steps import drive
from ckptstore.store.store import Store

# The previews of a page ask for parts of one state, soon after it.
_KEPT_STATES = 4
_KEPT_SECONDS = 60.0
_KEPT_FIGURES_SECONDS = 300.0


class RecentStates:
    """The states that were read last, for a minute: a page is followed by requests for parts of its state.

    Args:
        read: reads a state.
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, read: Callable[[CheckpointKey], CheckpointState], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._kept: OrderedDict[CheckpointKey, tuple[float, CheckpointState]] = OrderedDict()
        self._lock = threading.Lock()

    def fresh(self, key: CheckpointKey) -> CheckpointState:
        """The state as it is now: tasks may have written since."""
        found = self._read(key)
        with self._lock:
            self._kept[key] = (self._clock(), found)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT_STATES:
                self._kept.popitem(last=False)
        return found

    def recent(self, key: CheckpointKey) -> CheckpointState:
        """The state as it was within the last minute."""
        with self._lock:
            read_at, found = self._kept.get(key, (0.0, None))
        return found if found is not None and self._clock() - read_at < _KEPT_SECONDS else self.fresh(key)


@dataclass
class Measured:
    """The figures of the store that were measured last: on a large one that takes seconds."""

    clock: Callable[[], float] = time.monotonic
    _found: tuple[float, StoreStats] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, measure: Callable[[], StoreStats], *, again: bool) -> tuple[StoreStats, int]:
        """The figures, and how many seconds old they are. Of callers at the same time one measures."""
        with self._lock:
            if self._found is None or again or self.clock() - self._found[0] >= _KEPT_FIGURES_SECONDS:
                self._found = (self.clock(), measure())
            measured_at, found = self._found
            return found, round(self.clock() - measured_at)


@dataclass(frozen=True)
class Inspector:
    """What the pages show, and how."""

    store: Store
    #: What the pages call the store: its URL without secrets.
    name: str
    #: Opens encrypted values.
    decrypt: Decrypt | None = None
    redaction: Redaction = NO_REDACTION
    #: Name the store to a command, for a shell.
    options: str = FROM_ENVIRONMENT
    #: The current time, aware.
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    states: RecentStates = field(init=False)
    measured: Measured = field(default_factory=Measured)

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", RecentStates(self.read_state))

    def read_state(self, key: CheckpointKey) -> CheckpointState:
        """A state as it is now, without what is hidden."""
        return redacted(drive(checkpoint_state(self.store, key, self.decrypt)), self.redaction)

    def metadata(self, metadata: Mapping[str, object]) -> dict[str, object]:
        """Metadata without what is hidden."""
        return {key: self.redaction.of(value, (key,)) for key, value in metadata.items()}

    @property
    def microseconds(self) -> int:
        """The current time in microseconds since 1970, UTC."""
        return round(self.now().timestamp() * 1_000_000)


def inspector_of(request: Request) -> Inspector:
    """The inspector that answers a request."""
    found: Inspector = request.app.state.inspector
    return found


def text_of(request: Request, name: str) -> str | None:
    """A parameter of a request; None if it has none.

    Raises:
        InvalidConfig: no database can have such a text.
    """
    given = request.query_params.get(name)
    return None if given is None else require_text(given, name)


def required(request: Request, name: str) -> str:
    """A parameter that a page can't do without.

    Raises:
        InvalidConfig: it is missing, or no database can have such a text.
    """
    found = text_of(request, name)
    if found is None:
        raise InvalidConfig(f"this address names no {name}; begin at the list of threads")
    return found


def checkpoint_of(request: Request) -> CheckpointKey:
    """The key of the checkpoint that a request names, by `thread`, `ns` and `id`; without an id, the newest one of the namespace.

    Raises:
        InvalidConfig: there is no such checkpoint.
    """
    found = find_checkpoint(inspector_of(request).store, required(request, "thread"), text_of(request, "ns"), text_of(request, "id"))
    return drive(found)
