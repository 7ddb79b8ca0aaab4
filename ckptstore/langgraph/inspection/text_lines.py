"""Which lines of two texts differ."""

from __future__ import annotations

import difflib

from ckptstore.langgraph.structure.columns import ELLIPSIS
from ckptstore.langgraph.structure.nodes import Structure


def changed_lines(before: Structure, after: Structure, most: int) -> list[str]:
    """The lines of two texts that differ, as a unified diff; nothing for other values, and for texts of a line.

    Args:
        before: one text.
        after: the other one.
        most: how many lines; what is left out is said in a last one.
    """
    if not isinstance(before, str) or not isinstance(after, str) or "\n" not in before + after:
        return []
    # The first two lines name files.
    found = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm=""))[2:]
    left_out = len(found) - most
    return [*found[:most], *[f"{ELLIPSIS} {left_out} more lines"] * (left_out > 0)]
