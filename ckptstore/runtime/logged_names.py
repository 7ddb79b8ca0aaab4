"""Names about which something was logged: once is enough, however often it happens."""

from __future__ import annotations

_MAX_NAMES = 1_000


class LoggedNames:
    """Remembers names. Past some number of them nothing more is logged: they come from outside, and memory stays bounded."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def __contains__(self, name: str) -> bool:
        """Whether this name will not be logged any more."""
        return name in self._names or len(self._names) >= _MAX_NAMES

    def is_first(self, name: str) -> bool:
        """Whether it is asked about this name for the first time, which should be logged."""
        if name in self:
            return False
        self._names.add(name)
        return True
