"""What hostile values, tokens and hosts can't do in a real browser."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Error, expect

from tests.browser.conftest import REBOUND, Visitor, visit
from tests.support.hostile_state import SCRIPT, THREAD


async def settle(visitor: Visitor) -> None:
    """Let whatever would run, run: previews are loaded when they come into view."""
    page = visitor.page
    for each in await page.locator("img, iframe").all():
        await each.scroll_into_view_if_needed()
    await page.wait_for_load_state("networkidle")


async def test_hostile_values_run_nothing_on_any_page(pdf_visitor: Visitor) -> None:
    visitor, page = pdf_visitor, pdf_visitor.page
    await settle(visitor)
    await page.locator("[data-row] a").first.click()
    await expect(page.locator("h1")).to_contain_text("hostile")
    await settle(visitor)
    await page.locator(".what a").first.click()
    await expect(page.locator(".message").first).to_be_visible()
    for summary in await page.locator("summary").all():
        await summary.click()
    await settle(visitor)
    await page.click("text=Compare with parent")
    await expect(page.get_by_role("heading", name="Difference")).to_be_visible()
    await settle(visitor)
    for path in (f"/threads?q={quote(SCRIPT)}", f"/threads?filter={quote(SCRIPT)}", f"/thread?thread={quote(SCRIPT)}", "/space"):
        await visitor.go(path)
        await settle(visitor)
    # What is not there is answered with 404 and the like, which the console notes; nothing else is noted.
    visitor.errors = [each for each in visitor.errors if "the server responded with a status of 4" not in each]
    visitor.expect_nothing()


@pytest.mark.parametrize("channel", ["page", "svg", "page_by_handle", SCRIPT])
async def test_files_that_are_opened_run_nothing(visitor: Visitor, channel: str) -> None:
    await open_file(visitor, channel)


@pytest.mark.parametrize("channel", ["pdf", "pdf_by_handle"])
async def test_pdfs_that_are_opened_run_nothing(pdf_visitor: Visitor, channel: str) -> None:
    await open_file(pdf_visitor, channel)


async def open_file(visitor: Visitor, channel: str) -> None:
    address = f"/raw?thread={quote(THREAD)}&ns={quote(SCRIPT)}&channel={quote(channel)}" + ("&path=0" if channel == SCRIPT else "")
    # What is only saved is no page that can be gone to.
    with suppress(Error):
        await visitor.go(address)
    await visitor.page.wait_for_load_state("networkidle")
    assert (visitor.dialogs, visitor.left) == ([], [])


async def test_scripts_that_are_not_the_inspectors_are_refused(visitor: Visitor) -> None:
    with pytest.raises(Error, match="Content Security Policy"):
        await visitor.page.add_script_tag(content="document.title = 'run'")
    assert await visitor.page.title() != "run"


async def test_a_wrong_token_shows_nothing(browser: Browser, printed: str) -> None:
    page = await (await browser.new_context()).new_page()
    for address in (f"{printed}x", printed.partition("?")[0], f"{printed.partition('/?')[0]}/thread?thread=ann"):
        answer = await page.goto(address)
        assert answer is not None
        assert answer.status == 403
        await expect(page.locator("h1")).to_have_text("Nothing is shown here")
        assert "ann" not in await page.inner_text("body")


async def test_a_name_that_was_rebound_shows_nothing(visitor: Visitor) -> None:
    answer = await visitor.page.goto(visitor.printed.replace("127.0.0.1", REBOUND))
    assert answer is not None
    assert answer.status == 403
    await expect(visitor.page.locator("main")).to_contain_text("asks for another host")


async def test_scripts_have_no_part_of_the_cookie(visitor: Visitor) -> None:
    assert await visitor.page.evaluate("document.cookie") == ""
    (cookie,) = await visitor.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")


async def test_a_page_of_another_site_can_not_look_in(browser: Browser, printed: str) -> None:
    visitor = await visit(browser, printed)
    other = await visitor.context.new_page()
    # A page of another port of this machine: the same site, so that its requests have the cookie.
    await other.route("http://127.0.0.1:1/", lambda route: route.fulfill(body="<p>other</p>", content_type="text/html"))
    await other.goto("http://127.0.0.1:1/")
    outcome = await other.evaluate(
        """async (base) => {
            const shown = (tag, url) => new Promise((resolve) => {
                const made = document.createElement(tag);
                made.onload = () => resolve("loaded");
                made.onerror = () => resolve("refused");
                made.src = url;
                document.body.append(made);
            });
            const read = await fetch(`${base}/threads`, { credentials: "include" }).then(() => "read", () => "refused");
            const script = await shown("script", `${base}/tag-values?key=user_id`);
            return [read, script];
        }""",
        visitor.base,
    )
    assert outcome == ["refused", "refused"]
