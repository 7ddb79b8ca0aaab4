"""A sample of what was transferred: the newest checkpoint of some threads, evenly chosen."""

from __future__ import annotations

import random
from collections.abc import Iterable

from ckptstore.records import CheckpointKey

_SIZE = 50


class Sample:
    """Keeps so many of the checkpoints that it is shown, each with the same probability (reservoir sampling)."""

    def __init__(self) -> None:
        self.keys: list[CheckpointKey] = []
        self._seen = 0
        # Not a secret: which checkpoints are compared.
        self._random = random.Random(0)  # noqa: S311

    def add(self, keys: Iterable[CheckpointKey]) -> None:
        """Show it some checkpoints."""
        for key in keys:
            self._seen += 1
            if len(self.keys) < _SIZE:
                self.keys.append(key)
            elif (place := self._random.randrange(self._seen)) < _SIZE:
                self.keys[place] = key
