"""The inspector: how long a browser takes to paint its pages, of a large store, a long thread and a large state.

`ckptstore inspect` runs as a process of its own; chromium asks it. Where there is no chromium, the time to the first byte and to the
last one is measured alone.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlsplit

from langchain_core.messages import AIMessage, HumanMessage

from benchmarks.bench import Bench
from benchmarks.contenders import OURS, Contender
from benchmarks.report import Table
from benchmarks.workload import HandMade

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
LONG, LARGE = "long thread", "large state"
_AT_A_TIME = 200
# A message of about 2 KB.
_WORDS = 330

#: Page -> milliseconds to the first byte, to the last one, to the first paint, and until all is there; by lap.
Times = dict[str, dict[str, float]]


async def fill(contender: Contender, threads: int, checkpoints: int, messages: int) -> None:
    """Many small threads, one long one, and one with a large state."""
    saver = contender.saver

    async def small(number: int) -> None:
        await HandMade(saver, f"thread-{number:07}", {"user_id": f"user-{number % 997}", "kind": "small"}).put(count=number)

    for start in range(0, threads, _AT_A_TIME):
        await asyncio.gather(*map(small, range(start, min(start + _AT_A_TIME, threads))))
    long = HandMade(saver, LONG)
    for count in range(checkpoints):
        await long.put(count=count)
    chance = random.Random(1)  # noqa: S311
    said = [_message(number, chance) for number in range(messages)]
    large = HandMade(saver, LARGE)
    for count in (messages - 1, messages):
        await large.put(messages=said[:count])
    assert contender.database is not None
    await contender.database.settle()


def _message(number: int, chance: random.Random) -> HumanMessage | AIMessage:
    text = " ".join(f"{chance.getrandbits(20):x}" for _ in range(_WORDS))
    return (AIMessage if number % 2 else HumanMessage)(text, id=str(number))


def pages(threads: int) -> Mapping[str, str]:
    """What is asked for, by the label of its row."""
    wanted = quote('{"user_id": "user-5"}')
    return {
        f"list of {threads:,} threads": "/threads",
        "threads of a user": f"/threads?filter={wanted}",
        "threads by a part of their id": f"/threads?q={threads - 1:07}",
        "newest checkpoints of a long thread": f"/thread?thread={quote(LONG)}",
        "newest state of a long thread": f"/checkpoint?thread={quote(LONG)}&ns=",
        "a large state": f"/checkpoint?thread={quote(LARGE)}&ns=",
        "space": "/space?again=1",
    }


@asynccontextmanager
async def inspecting(url: str) -> AsyncIterator[str]:
    """`ckptstore inspect` on a database; gives the address that it prints."""
    command = ["-m", "ckptstore.cli", "inspect", "--url", url, "--no-browser", "--port", "0"]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


def ask(printed: str, paths: Mapping[str, str], loads: int) -> Times:
    """Ask for each page some times, and take the medians: to the first byte of the page, and to the last one."""
    base = urlsplit(printed)
    assert base.hostname is not None
    connection = HTTPConnection(base.hostname, base.port or 80)
    connection.request("GET", f"/?{base.query}")
    answer = connection.getresponse()
    answer.read()
    cookie = str(answer.headers["set-cookie"]).partition(";")[0]
    found: Times = {}
    for label, path in paths.items():
        laps = [_ask_once(connection, path, cookie) for _ in range(loads)]
        found[label] = {what: statistics.median(lap[what] for lap in laps) for what in laps[0]}
    connection.close()
    return found


def _ask_once(connection: HTTPConnection, path: str, cookie: str) -> dict[str, float]:
    started = time.perf_counter()
    connection.request("GET", path, headers={"Cookie": cookie})
    answer = connection.getresponse()
    assert answer.status == 200, f"{path}: {answer.status}"
    answer.read(1)
    first = time.perf_counter()
    answer.read()
    return {"first byte": (first - started) * 1e3, "last byte": (time.perf_counter() - started) * 1e3}


async def paint(printed: str, paths: Mapping[str, str], loads: int) -> Times:
    """The medians of what the browser itself measures: its first paint of something, and when all of the page was there."""
    from playwright.async_api import async_playwright

    found: Times = {}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        await page.goto(printed)
        await page.wait_for_url("**/threads")
        base = printed.partition("/?")[0]
        for label, path in paths.items():
            laps = []
            for _ in range(loads):
                await page.goto(base + path, wait_until="load")
                laps.append(await page.evaluate(_PAINTED))
            found[label] = {"first paint": statistics.median(lap[0] for lap in laps), "complete": statistics.median(lap[1] for lap in laps)}
        await browser.close()
    return found


# The first paint may be reported a little after the page was loaded.
_PAINTED = """() => new Promise((resolve) => new PerformanceObserver((list) => resolve([
    list.getEntriesByName("first-contentful-paint")[0].startTime, performance.getEntriesByType("navigation")[0].domComplete,
])).observe({ type: "paint", buffered: true }))"""


async def measure(contender: Contender, paths: Mapping[str, str], loads: int) -> Times:
    """One lap."""
    assert contender.database is not None
    async with inspecting(contender.database.url) as printed:
        found = await asyncio.to_thread(ask, printed, paths, loads)
        painted: dict[str, Any] = await paint(printed, paths, loads) if CHROMIUM else {}
    return {label: {**times, **painted.get(label, {})} for label, times in found.items()}


async def run(bench: Bench) -> list[Table]:
    """Measure both databases."""
    bench = bench.among([contender for contender in bench.contenders if contender.name in OURS])
    threads, checkpoints = bench.size(100_000, 60, quick=10_000), bench.size(10_000, 30, quick=2_000)
    messages, loads = bench.size(4_400, 20, quick=4_400), bench.size(5, 1, quick=5)
    async with bench.all_open():
        for contender in bench.contenders:
            await fill(contender, threads, checkpoints, messages)
        paths = pages(threads)
        laps = await bench.interleaved(lambda contender: measure(contender, paths, loads))
    table = bench.table(
        f"pages of {threads:,} threads, one of {checkpoints:,} checkpoints, and a state of {messages * 2.3 / 1_000:.1f} MB, ms"
    )
    for label in paths:
        for what in ("first byte", "first paint", "complete", "last byte"):
            table.add(f"{label}: {what}", {name: [lap[label].get(what) for lap in each] for name, each in laps.items()})
    if not CHROMIUM:
        table.note("There is no chromium, so no page was painted.")
    return [table]
