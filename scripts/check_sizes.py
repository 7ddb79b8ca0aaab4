"""Check the size of modules and functions: `python scripts/check_sizes.py`, part of `make lint`.

- A module of ckptstore has at most 300 lines, unless its docstring has a paragraph that begins with "Over 300 lines:" and says why.
- A test module has at most 400 lines.
- A function of ckptstore has at most 25 lines of code: its body without its docstring, comments and blank lines.
"""

from __future__ import annotations

import ast
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

MODULE_LINES = 300
TEST_MODULE_LINES = 400
FUNCTION_LINES = 25
REASON = "Over 300 lines:"

ROOT = Path(__file__).parent.parent


def long_modules(folder: str, limit: int) -> Iterator[str]:
    """The modules below a folder that are too long and don't say why."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        text = path.read_text()
        lines = text.count("\n")
        if lines > limit and REASON not in (ast.get_docstring(ast.parse(text)) or ""):
            yield f"{path.relative_to(ROOT)}: {lines} lines, at most {limit}"


def long_functions(folder: str) -> Iterator[str]:
    """The functions below a folder that have too many lines of code."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text())
        code = code_lines(path)
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (count := body_lines(node, code)) > FUNCTION_LINES:
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has {count} lines of code, at most {FUNCTION_LINES}"


def code_lines(path: Path) -> set[int]:
    """The numbers of the lines that hold code, so neither blank nor only a comment."""
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER}
    with path.open("rb") as file:
        tokens = [token for token in tokenize.tokenize(file.readline) if token.type not in skipped]
    return {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef, code: set[int]) -> int:
    """Lines of code in a function's body, without its docstring."""
    body = node.body
    if ast.get_docstring(node, clean=False) is not None:
        body = body[1:]
    if not body:
        return 0
    end = body[-1].end_lineno
    assert end is not None
    return sum(1 for line in range(body[0].lineno, end + 1) if line in code)


def main() -> int:
    """Print what is too long; 1 if anything is."""
    found = [*long_modules("ckptstore", MODULE_LINES), *long_modules("tests", TEST_MODULE_LINES), *long_functions("ckptstore")]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
