"""Click 8.1 runs a command with standard output and standard error in one stream; since 8.2 a result has each, and both together."""

from __future__ import annotations

from functools import partialmethod
from typing import Any

from click.testing import CliRunner, Result


def keep_outputs_apart() -> None:
    """Give results of Click 8.1 what those of 8.2 have."""
    separate: Any = partialmethod(CliRunner.__init__, mix_stderr=False)
    both: Any = property(lambda result: result.stdout + result.stderr)
    CliRunner.__init__ = separate  # type: ignore[method-assign]
    Result.output = both  # type: ignore[method-assign]
