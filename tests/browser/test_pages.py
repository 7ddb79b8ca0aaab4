"""Each page, as people use it."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, expect

from tests.browser.conftest import Visitor, visit
from tests.support.hostile_state import SCRIPT, THREAD

PATHS = ["/threads", "/thread?thread=ann", "/checkpoint?thread=ann&ns=", "/space", "/retention?keep_last=1", "/threads?q=none"]


async def test_threads_are_searched(visitor: Visitor) -> None:
    page = visitor.page
    await expect(page.locator("[data-row]")).to_have_count(2)
    await page.fill("#search", "nn")
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-row]")).to_have_count(1)
    await expect(page.locator("[data-row] a")).to_have_text("ann")
    await page.fill("#search", "nobody")
    await page.click("button.primary")
    await expect(page.get_by_role("heading", name="No such thread")).to_be_visible()
    visitor.expect_nothing()


async def test_tags_are_completed_added_and_taken_away(visitor: Visitor) -> None:
    page = visitor.page
    keys = await page.locator("#tag-keys option").evaluate_all("each => each.map(one => one.value)")
    assert {"user_id", "topic", "priority"} <= set(keys)
    await page.fill("input[name=key]", "topic")
    await page.fill("input[name=value]", "w")
    await expect(page.locator("#tag-values option")).to_have_attribute("value", "weather")
    await page.fill("input[name=value]", "weather")
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-row]")).to_have_count(1)
    await expect(page.locator(".chips .tag")).to_contain_text('topic: "weather"')
    await page.click(".chips a")
    await expect(page.locator("[data-row]")).to_have_count(2)
    visitor.expect_nothing()


async def test_a_filter_that_can_not_be_read_is_a_sentence(visitor: Visitor) -> None:
    await visitor.go("/threads?filter={")
    await expect(visitor.page.get_by_role("alert")).to_contain_text("The filter is no JSON")


async def test_the_tree_stands_beside_its_rows(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.go("/thread?thread=ann")
    await expect(page.locator("[data-row]")).to_have_count(10)
    offsets = await page.evaluate("""() => {
        const points = [...document.querySelectorAll(".point")].map((point) => point.getBoundingClientRect());
        const rows = [...document.querySelectorAll("[data-row]")].map((row) => row.getBoundingClientRect());
        return rows.map((row, n) => Math.abs((row.top + row.bottom) / 2 - (points[n].top + points[n].bottom) / 2));
    }""")
    assert len(offsets) == 10
    assert max(offsets) < 1
    await expect(page.locator(".line.fork")).to_have_count(1)
    await expect(page.locator(".ring")).to_have_count(4)
    visitor.expect_nothing()


async def test_two_checkpoints_are_compared(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.go("/thread?thread=ann&ns=")
    boxes = page.locator(".choose input")
    await boxes.nth(0).check()
    await boxes.nth(3).check()
    await page.click("[data-compare]")
    await expect(page.get_by_role("heading", name="Difference")).to_be_visible()
    await expect(page.locator(".change.added", has_text="Sunny.")).to_be_visible()
    visitor.expect_nothing()
    await visitor.go("/thread?thread=ann&ns=")
    await page.click("[data-compare]")
    await expect(page.locator("main")).to_contain_text("two checkpoints can be compared", ignore_case=True)


async def test_a_state_is_a_conversation_with_its_files(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.go("/thread?thread=ann")
    await page.click("text=Newest state")
    await expect(page.locator(".message.human").first).to_contain_text("What is the weather?")
    await expect(page.locator(".write.interrupt")).to_contain_text("really?")
    await expect(page.locator(".loading")).to_be_hidden()
    await page.click("text=Compare with parent")
    await expect(page.get_by_role("heading", name="Difference")).to_be_visible()
    visitor.expect_nothing()


async def test_pictures_and_pdfs_are_previewed(pdf_visitor: Visitor) -> None:
    visitor, page = pdf_visitor, pdf_visitor.page
    await visitor.go("/checkpoint?thread=ann&ns=")
    async with page.expect_response(lambda response: "/raw?" in response.url) as sent:
        await page.locator(".media iframe").scroll_into_view_if_needed()
    answer = await sent.value
    # The browser's own viewer takes the headers away.
    assert (answer.status, answer.headers.get("content-type", "application/pdf")) == (200, "application/pdf")
    await visitor.go(f"/checkpoint?thread={quote(THREAD)}&ns={quote(SCRIPT)}")
    picture = page.locator(".media.svg img").last
    await picture.scroll_into_view_if_needed()
    await page.wait_for_load_state("networkidle")
    assert await picture.evaluate("image => image.complete && image.naturalWidth > 0")
    visitor.expect_nothing()


async def test_space_and_retention(visitor: Visitor) -> None:
    page = visitor.page
    await page.click("text=Space")
    await expect(page.locator(".treemap.broad rect").first).to_be_visible()
    await expect(page.locator(".growth rect")).to_have_count(30)
    await page.click("text=Retention")
    await page.fill("input[name=keep_last]", "1")
    await page.click("button.primary")
    await expect(page.locator(".command")).to_have_text(re.compile("^ckptstore prune --url .+ --keep-last 1$"))
    visitor.expect_nothing()


async def test_keys(visitor: Visitor) -> None:
    page = visitor.page
    await page.keyboard.press("/")
    await expect(page.locator("#search")).to_be_focused()
    await page.keyboard.type("jk?")
    await expect(page.locator("#search")).to_have_value("jk?")
    await page.fill("#search", "")
    await page.locator("h1").click()
    for key in "jjk":
        await page.keyboard.press(key)
    await expect(page.locator("[data-row]").nth(0)).to_have_class("current")
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await visitor.go("/thread?thread=ann&ns=")
    for key in "jxjx":
        await page.keyboard.press(key)
    assert [await page.locator(".choose input").nth(n).is_checked() for n in range(3)] == [True, True, False]
    await page.keyboard.press("c")
    await expect(page.get_by_role("heading", name="Difference")).to_be_visible()
    # A key counts only once the script runs.
    await page.wait_for_load_state()
    await page.keyboard.press("u")
    await page.wait_for_url("**/thread?thread=ann")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/checkpoint?*")
    await page.keyboard.press("g")
    await page.keyboard.press("s")
    await page.wait_for_url("**/space")
    visitor.expect_nothing()


async def test_the_first_stop_of_the_tab_key_skips_the_bar(visitor: Visitor) -> None:
    await visitor.page.keyboard.press("Tab")
    await expect(visitor.page.locator(".skip")).to_be_focused()
    await expect(visitor.page.locator(".skip")).to_be_in_viewport()


async def test_dark_and_light_follow_the_system(browser: Browser, printed: str) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        visitor = await visit(browser, printed, color_scheme=scheme)
        grounds.append(await visitor.page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
    assert grounds == ["rgb(255, 255, 255)", "rgb(20, 23, 27)"]


@pytest.mark.parametrize("width", [390, 1280])
async def test_no_page_scrolls_sideways(browser: Browser, printed: str, width: int) -> None:
    visitor = await visit(browser, printed, viewport={"width": width, "height": 844})
    # The other thread has long words everywhere.
    hostile = await visitor.page.locator("[data-row] a").first.get_attribute("href")
    assert hostile is not None
    wide = {}
    for path in [*PATHS, hostile, hostile.replace("/thread?", "/checkpoint?"), "/thread?thread=gone"]:
        await visitor.go(path)
        if await visitor.sideways():
            wide[path] = await visitor.sideways()
    assert wide == {}


async def test_pages_work_without_scripts(browser: Browser, printed: str) -> None:
    visitor = await visit(browser, printed, java_script_enabled=False)
    page = visitor.page
    await page.fill("#search", "ann")
    await page.click("button.primary")
    await page.click("[data-row] a")
    await page.click("text=Newest state")
    await expect(page.locator(".message").first).to_be_visible()
    await expect(page.locator(".loading")).to_be_hidden()
    visitor.expect_nothing()
