"""Make the pictures in docs/images of the inspector, the command line, the demo and the site: `make screenshots`.

Those of the inspector and the command line are of a store that `demo_store.py` fills. The inspector's and the site's are taken by a real
browser: chromium of the system, or `$CHROMIUM`. `make_screenshots.py site demo` makes only pictures whose names begin so.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from click.testing import CliRunner
from demo_store import SHOWN, fill
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from ckptstore.cli import main as ckptstore

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
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
    picture_lines(name, f"ckptstore {' '.join(arguments)}".replace("--ns  ", "--ns '' "), done.output.splitlines()[:most])


def picture_demo() -> None:
    """What `make demo` prints, as SVG."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command, env = [sys.executable, str(ROOT / "examples" / "demo.py")], {**os.environ, "COLUMNS": "118", "PATH": path}
    demo = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    # Progress lines replace themselves; the folder is a temporary one.
    lines = [line.rpartition("\r")[2].replace(f"{Path.cwd()}/", "") for line in demo.stdout.splitlines()]
    picture_lines("demo", "make demo", lines)


def picture_lines(name: str, command: str, lines: Sequence[str]) -> None:
    """A command and what it prints, as SVG."""
    console = Console(record=True, width=max(len(Text.from_ansi(line)) for line in lines) + 2, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {command}", style="bold"))
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
    # The head of the page comes before its rows.
    page.wait_for_url("**filter=**")
    page.locator("[data-row]").first.wait_for()


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
    shown = page.locator("pre.command code")
    # The folder is a temporary one.
    shown.evaluate("(command, folder) => { command.textContent = command.textContent.replace(folder, '/srv') }", str(Path.cwd()))


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


# --- the site


#: Picture -> the page of the site, width and height of the window, and whether it is dark.
SITE: dict[str, tuple[str, int, int, bool]] = {
    "site-home": ("/", 1280, 900, False),
    "site-reference": ("/reference/saver/", 1280, 900, False),
    "site-dark": ("/concepts/how-it-works/", 1280, 900, True),
    "site-narrow": ("/tutorial/first-graph/", 390, 844, False),
}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def site() -> Iterator[str]:
    """The site, built and served; gives its address."""
    with tempfile.TemporaryDirectory() as folder:
        quiet = {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
        command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "-d", folder]
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **quiet})
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()


def picture_site(browser: Browser, address: str, name: str) -> None:
    """A page of the site, as PNG."""
    path, width, height, dark = SITE[name]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
    page = context.new_page()
    answer = page.goto(address + path, wait_until="networkidle")
    assert answer is not None and answer.ok, f"the site has no page {path}"  # noqa: PT018
    taken = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    taken.quantize(_COLOURS).save(IMAGES / f"{name}.png", optimize=True)
    context.close()


def main(beginnings: tuple[str, ...]) -> None:
    """Fill a store, and make the pictures whose names begin as one of these."""

    def chosen(names: Iterable[str]) -> list[str]:
        return [name for name in names if name.startswith(beginnings)]

    if CHROMIUM is None:
        sys.exit("there is no chromium; install it (apt-get install chromium), or set $CHROMIUM")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for _ in chosen(["demo"]):
            picture_demo()
        if chosen([*COMMANDS, *PAGES]):
            fill(STORE, datetime.now(UTC))
        for name in chosen(COMMANDS):
            picture_command(name, *COMMANDS[name])
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
            picture_all(browser, inspecting, picture_page, chosen(PAGES))
            picture_all(browser, site, picture_site, chosen(SITE))
            browser.close()


def picture_all(
    browser: Browser, serve: Callable[[], AbstractContextManager[str]], picture: Callable[[Browser, str, str], None], names: Sequence[str]
) -> None:
    """Pictures of the pages of one server, which is started if there are any."""
    if names:
        with serve() as address:
            for name in names:
                picture(browser, address, name)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or ("",))
