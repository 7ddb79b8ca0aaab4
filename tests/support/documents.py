"""The blocks of the README and of the pages in docs/: found, and run in the order in which a reader meets them."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from markdown_it import MarkdownIt

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from tests.support.forks import run_script

CHECKOUT = Path(__file__).parents[2]
_DOCS = CHECKOUT / "docs"

#: Languages of blocks that are saved as a file, if they have a title, for the blocks after them.
_FILES = {"python", "toml", "json", "yaml", "ini", "dockerfile", "text"}
_TITLE = re.compile(r'title="([^"]+)"')
_NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")


def commands(page: str) -> list[list[str]]:
    """The arguments of each `ckptstore` command in a page's console blocks."""
    found = [line for block in blocks_of(_DOCS / page) if block.language == "console" for line in block.commands()]
    return [shlex.split(line)[1:] for line in found if line.startswith("ckptstore ")]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    title: str | None
    text: str
    not_run: str | None
    """Why readers can run it and tests can't; from the comment `<!-- not run: ... -->` before it."""

    def commands(self) -> Iterator[str]:
        """The commands of a console block, without what they print; a backslash continues a line."""
        for line in self.text.replace("\\\n", "").splitlines():
            if line.startswith("$ "):
                yield line.removeprefix("$ ").partition("  #")[0].strip()


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, also of tabs and lists."""
    found: list[Block] = []
    reason: str | None = None
    for token in MarkdownIt("commonmark").parse(page.read_text()):
        if token.type == "html_block":
            matched = _NOT_RUN.search(token.content)
            reason = matched.group(1) if matched else None
        elif token.type == "fence":
            language, _, rest = token.info.partition(" ")
            title = _TITLE.search(rest)
            line = token.map[0] + 1 if token.map else 0
            found.append(Block(page, line, language, title.group(1) if title else None, token.content, reason))
            reason = None
        elif token.type.endswith("_open"):
            reason = None
    return found


def python_blocks(page: Path) -> list[str]:
    """The examples in Python of a page."""
    return [block.text for block in blocks_of(page) if block.language == "python"]


class PageRun:
    """Runs a page's blocks in a folder: Python in one namespace, where `await` is allowed outside of functions, and commands.

    Args:
        folder: where the page's files are made.
        replaced: what stands on the page for something of the reader's (a URL, a host), and what the test has in its place.
        export: sets a variable of the environment, for what follows on the page.
    """

    def __init__(self, folder: Path, replaced: Mapping[str, str], export: Callable[[str, str], None]) -> None:
        self.folder = folder
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self._replaced = replaced
        self._export = export

    async def run(self, block: Block) -> None:
        """Run a block, or save it under its title.

        Raises:
            AssertionError: a command failed; the message has what it printed.
        """
        text = block.text
        for written, real in self._replaced.items():
            text = text.replace(written, real)
        if block.title is not None and block.language in _FILES:
            path = self.folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif block.language == "python":
            await self._python(block, text)
        elif block.language == "console":
            for command in Block(block.page, block.line, "console", None, text, None).commands():
                self._command(block, command)

    def close(self) -> None:
        """Close the savers that the page has left open."""
        for value in self.names.values():
            if isinstance(value, SQLAlchemySaver):
                value.close()

    async def _python(self, block: Block, text: str) -> None:
        # Lines are counted as on the page, so that a traceback points there.
        code = compile("\n" * block.line + text, str(block.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, self.names)
        if result is not None:
            await result

    def _command(self, block: Block, command: str) -> None:
        words = shlex.split(command)
        if words[0] == "export":
            for word in words[1:]:
                self._export(*word.split("=", 1))
            return
        if words[0] == "ckptstore" and not set(words) & {"|", ">", "&&", "<"}:
            done = CliRunner().invoke(main, words[1:])
            assert done.exit_code == 0, f"{block.page.name}:{block.line}: {command}\n{done.output}{done.exception!r}"
            return
        if words[0] == "python" and (self.folder / words[1]).is_file() and not set(words) & {"|", ">", "&&", "<"}:
            script = run_script(self.folder / words[1], *words[2:], folder=self.folder)
            assert script.returncode == 0, f"{block.page.name}:{block.line}: {command}\n{script.stdout}{script.stderr}"
            return
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        shell = ["bash", "-euo", "pipefail", "-c", command]
        ended = subprocess.run(shell, cwd=self.folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{block.page.name}:{block.line}: {command}\n{ended.stdout}{ended.stderr}"
