"""Where in a value a change is, as people read it."""

from __future__ import annotations

import re

from ckptstore.langgraph.inspection.difference import Path
from ckptstore.langgraph.structure.as_text import inline

# A key that is shown without quotes.
_NAME = re.compile(r"[^\W\d][\w-]*")
_WIDTH = 40


def shown_path(path: Path) -> str:
    """A path as `messages[3].content`."""
    parts = [f".{part}" if isinstance(part, str) and _NAME.fullmatch(part) else f"[{inline(part, _WIDTH)}]" for part in path]
    return "".join(parts).removeprefix(".")
