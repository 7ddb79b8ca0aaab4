"""Make the pictures of the inspector and of the command line in docs/images: `make screenshots`.

They are of a store that `demo_store.py` fills. The inspector's are taken by a real browser: chromium of the system, or `$CHROMIUM`.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner
from demo_store import SHOWN, fill
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from ckptstore.cli import main as ckptstore

IMAGES = Path(__file__).parents[1] / "docs" / "images"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
STORE = "support.sqlite"
_COLOURS = 256
_THEME = TerminalTheme(
    (20, 23, 27),
    (228, 231, 235),
    [(20, 23, 27), (245, 161, 154), (127, 208, 160), (232, 191, 106), (134, 182, 242), (190, 174, 245), (120, 200, 210), (228, 231, 235)],
)
#: Picture -> arguments of the command, and how many of its lines are shown.
COMMANDS = {
    "command-tree": (["threads", "show", SHOWN], 20),
    "command-state": (["threads", "state", SHOWN, "--ns", "", "--channel", "messages", "--channel", "order"], 40),
    "command-stats": (["stats", "--days", "7", "--largest", "4"], 60),
}


# --- the command line


def picture_command(name: str, arguments: list[str], most: int) -> None:
    """What a command prints, as SVG."""
    done = CliRunner(env={"COLUMNS": "118", "CKPTSTORE_DATABASE_URL": STORE}).invoke(ckptstore, arguments, color=True)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()[:most]
    console = Console(record=True, width=max(len(Text.from_ansi(line)) for line in lines) + 2, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ ckptstore {' '.join(arguments)}".replace("--ns  ", "--ns '' "), style="bold"))
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(title="ckptstore", theme=_THEME, unique_id=name)
    # Rich would have the font fetched from a server.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace(
        "Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace"
    )
    (IMAGES / f"{name}.svg").write_text(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE))


# --- the inspector


@contextmanager
def inspecting() -> Iterator[str]:
    """`ckptstore inspect` on the store; gives the address that it prints."""
    command = [sys.executable, "-m", "ckptstore.cli", "inspect", "--url", STORE, "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.stdout.readline().strip()
        process.terminate()


def open_state(page: Page) -> None:
    """The newest state of the conversation."""
    page.click(f"text={SHOWN}")
    page.locator("[data-row] a", has_text="Step 8").first.click()
    page.wait_for_load_state("networkidle")


def open_photo(page: Page) -> None:
    """The same, where the picture and the PDF are."""
    open_state(page)
    page.locator("#channel-4").scroll_into_view_if_needed()
    page.wait_for_timeout(2_000)
    page.locator("#channel-6 img").scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle")
    page.evaluate("document.querySelector('#channel-4').scrollIntoView({ behavior: 'instant' })")
    page.wait_for_timeout(500)


def open_tree(page: Page) -> None:
    """The tree of the conversation."""
    page.click(f"text={SHOWN}")


def open_difference(page: Page) -> None:
    """Both ends of the fork."""
    page.click(f"text={SHOWN}")
    page.click("text=root graph")
    ends = page.locator("[data-row]", has_text="Step 8").locator("input")
    for number in (0, 1):
        ends.nth(number).check()
    page.click("[data-compare]")
    page.wait_for_load_state("networkidle")


def open_filter(page: Page) -> None:
    """Threads with a tag."""
    page.fill("input[name=key]", "channel")
    page.fill("input[name=value]", "chat")
    page.click("button.primary")


def open_space(page: Page) -> None:
    """Where the bytes are."""
    page.click("text=Space")
    page.wait_for_load_state("networkidle")


def open_retention(page: Page) -> None:
    """What would be deleted."""
    page.click("text=Retention")
    page.fill("input[name=older_than]", "14d")
    page.fill("input[name=keep_last]", "3")
    page.click("button.primary")
    page.wait_for_load_state("networkidle")


#: Picture -> how its page is reached, width and height of the window, and whether it is dark.
PAGES: dict[str, tuple[Callable[[Page], None], int, int, bool]] = {
    "inspector-threads": (open_filter, 1280, 620, False),
    "inspector-tree": (open_tree, 1280, 980, False),
    "inspector-state": (open_state, 1280, 1080, False),
    "inspector-files": (open_photo, 1280, 980, False),
    "inspector-difference": (open_difference, 1280, 800, False),
    "inspector-space": (open_space, 1280, 1000, False),
    "inspector-retention": (open_retention, 1280, 460, False),
    "inspector-dark": (open_state, 1280, 900, True),
    "inspector-narrow": (open_tree, 390, 844, False),
}


def picture_page(browser: Browser, printed: str, name: str) -> None:
    """A page, as PNG."""
    reach, width, height, dark = PAGES[name]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", device_scale_factor=1.5
    )
    page = context.new_page()
    page.goto(printed)
    page.wait_for_url("**/threads")
    reach(page)
    taken = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    taken.quantize(_COLOURS).save(IMAGES / f"{name}.png", optimize=True)
    context.close()


def main() -> None:
    """Fill a store, and make all pictures of it."""
    if CHROMIUM is None:
        sys.exit("there is no chromium; install it (apt-get install chromium), or set $CHROMIUM")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        fill(STORE, datetime.now(UTC))
        for name, (arguments, most) in COMMANDS.items():
            picture_command(name, arguments, most)
        with inspecting() as printed, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
            for name in PAGES:
                picture_page(browser, printed, name)
            browser.close()


if __name__ == "__main__":
    main()
