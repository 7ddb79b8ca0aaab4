"""The commands of the pages in docs/."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

_DOCS = Path(__file__).parents[2] / "docs"


def commands(page: str) -> list[list[str]]:
    """The arguments of each `ckptstore` command in a page's console blocks."""
    blocks = re.findall(r"```console\n(.*?)```", (_DOCS / page).read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line.removeprefix("$ ckptstore ")) for line in lines if line.startswith("$ ckptstore ")]


def python_blocks(page: Path) -> list[str]:
    """The examples in Python of a page."""
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
