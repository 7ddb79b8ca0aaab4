"""The links of the README and of the pages lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.support.documents import CHECKOUT

PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
REPOSITORY = "https://github.com/ckptstore/ckptstore/"
#: Made when the site is built; mkdocs' strict mode checks links to them.
GENERATED = ("security.md", "changelog.md", "reference/")


def links(page: Path) -> list[str]:
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text()):
        for child in token.children or []:
            target = child.attrs.get("href") or child.attrs.get("src")
            if target:
                found.append(str(target))
    return found


def anchors(page: Path) -> set[str]:
    """The ids that headings get: words in lower case, joined by hyphens."""
    tokens = MarkdownIt("commonmark").parse(page.read_text())
    headings = [tokens[number + 1].content for number, token in enumerate(tokens) if token.type == "heading_open"]
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower())).strip("-") for heading in headings}


def local(page: Path, target: str) -> tuple[Path, str] | None:
    """The file that a link names, and the part of it; None for another site."""
    for branch in ("blob/main/", "raw/main/", "tree/main/"):
        if target.startswith(REPOSITORY + branch):
            target, page = target.removeprefix(REPOSITORY + branch), CHECKOUT / "README.md"
    if re.match(r"[a-z]+:", target):
        return None
    path, _, part = target.partition("#")
    return (page.parent / path if path else page), part


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in links(page):
        found = local(page, target)
        if found is None:
            continue
        path, part = found
        assert path.exists() or any(name in target for name in GENERATED), f"{page.name}: {target}"
        assert not part or path.suffix != ".md" or part in anchors(path), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_no_merge_is_left_undone(page: Path) -> None:
    assert not re.search(r"^(<<<<<<<|>>>>>>>) ", page.read_text(), re.MULTILINE)
