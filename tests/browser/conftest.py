"""A real browser: Debian's chromium. Where there is none, these tests say so and are skipped.

No browser is downloaded: `.ci/run` installs the system's. A page takes the whole browser three seconds of CPU, most of it for the window
around the page. So where Debian's chromium-headless-shell is installed too, which is the same engine without windows, most tests use
that; those that show a PDF need the whole browser, whose viewer the shell lacks.
"""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from ckptstore import SQLAlchemySaver
from tests.support.conversations import converse
from tests.support.hostile_state import put_hostile
from tests.support.inspector import serving

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
SHELL = os.environ.get("CHROMIUM") or shutil.which("chromium-headless-shell") or CHROMIUM
#: A name that only this browser takes for this machine, as a site that rebinds its name does.
REBOUND = "evil.example"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, where there is no browser."""
    for item in items:
        if item.path.is_relative_to(os.path.dirname(__file__)):
            item.add_marker(pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium, or set $CHROMIUM"))
            item.add_marker(pytest.mark.starts_processes)
            if inspect.iscoroutinefunction(getattr(item, "obj", None)):
                # Where the browser's is: it can only be talked to from the event loop that it was started from.
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@asynccontextmanager
async def started(executable: str | None) -> AsyncIterator[Browser]:
    """A browser, until the block ends."""
    assert executable is not None
    async with async_playwright() as playwright:
        # Without a sandbox of its own: a container lets root have none.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1"]
        browser = await playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests, each of which has a context of its own: nothing is shared between contexts."""
    async with started(SHELL) as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_browser() -> AsyncIterator[Browser]:
    """The same, with a viewer of PDFs."""
    async with started(CHROMIUM) as browser:
        yield browser


@dataclass
class Visitor:
    """A page of the browser, and what happened on it that must not."""

    context: BrowserContext
    page: Page
    #: Where the inspector is, without its token.
    base: str
    printed: str
    dialogs: list[str] = field(default_factory=list)
    #: Requests to anybody else.
    left: list[str] = field(default_factory=list)
    #: Errors of scripts, and violations of the policy.
    errors: list[str] = field(default_factory=list)

    async def go(self, path: str) -> None:
        await self.page.goto(f"{self.base}{path}")

    async def sideways(self) -> int:
        """By how many pixels the page is wider than its window."""
        width: int = await self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return width

    def expect_nothing(self) -> None:
        assert (self.dialogs, self.left, self.errors) == ([], [], [])


async def visit(browser: Browser, printed: str, **options: Any) -> Visitor:
    """Open the printed address in a new window.

    Args:
        browser: the browser.
        printed: the address, with its token.
        options: of playwright's `new_context`.
    """
    context = await browser.new_context(**options)
    page = await context.new_page()
    visitor = Visitor(context, page, printed.partition("/?")[0], printed)

    async def dismiss(dialog: Any) -> None:
        visitor.dialogs.append(dialog.message)
        await dialog.dismiss()

    def request(found: Any) -> None:
        # Those of the browser's own viewer of PDFs stay within it, and those that a policy forbids are never sent.
        if found.failure != "csp" and not found.url.startswith((visitor.base, "chrome", "data:", "blob:")):
            visitor.left.append(f"{found.url} ({found.failure})")

    def console(message: Any) -> None:
        if message.type == "error":
            visitor.errors.append(message.text)

    context.on("dialog", dismiss)
    context.on("requestfinished", request)
    context.on("requestfailed", request)
    context.on("console", console)
    page.on("pageerror", lambda error: visitor.errors.append(str(error)))
    await page.goto(printed)
    await page.wait_for_url("**/threads")
    return visitor


@pytest.fixture
def printed(sqlite_url: str) -> Iterator[str]:
    """The address of an inspector of two threads: a conversation, and one whose every part is hostile."""
    with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        converse(saver, topic="weather", priority=2)
        put_hostile(saver)
    with serving(sqlite_url) as url:
        yield url


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def closed_windows(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Close what a test has opened."""
    yield
    for name in {"browser", "whole_browser"}.intersection(request.fixturenames):
        for context in request.getfixturevalue(name).contexts:
            await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser, printed: str) -> Visitor:
    return await visit(browser, printed)


@pytest_asyncio.fixture(loop_scope="session")
async def pdf_visitor(whole_browser: Browser, printed: str) -> Visitor:
    """Of a browser that shows PDFs."""
    return await visit(whole_browser, printed)
