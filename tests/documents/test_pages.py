"""What the README, the tutorial and the how-to pages tell a reader to run does run, in the order in which it stands there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import new_database
from tests.support.documents import CHECKOUT, PageRun, blocks_of
from tests.support.s3 import moto_server

TUTORIAL = [CHECKOUT / "docs" / "tutorial" / f"{name}.md" for name in ("first-graph", "find", "files", "production")]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs" / "how-to").glob("*.md"))]
POSTGRES = "postgresql://user:password@host/database"

pytestmark = pytest.mark.starts_processes


@pytest.fixture
def page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str) -> Iterator[PageRun]:
    """A folder, an empty database in the place of the page's, and a bucket named `bucket`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with new_database(postgres_url, "psycopg") as url, moto_server("bucket") as s3:
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
        plain = url.replace("postgresql+psycopg://", "postgresql://")
        replaced = {POSTGRES: plain, POSTGRES.replace("@host", "@replica"): plain, POSTGRES.replace("://", "+psycopg://", 1): url}
        run = PageRun(tmp_path, replaced, monkeypatch.setenv)
        yield run
        run.close()


async def run_page(page_run: PageRun, page: Path) -> None:
    for block in blocks_of(page):
        if block.not_run is None:
            await page_run.run(block)


async def test_the_tutorial(page_run: PageRun) -> None:
    for page in TUTORIAL:
        await run_page(page_run, page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
async def test_a_page(page: Path, page_run: PageRun) -> None:
    await run_page(page_run, page)
