"""Draw `docs/diagrams/*.mmd` as `docs/images/*.svg`: `python scripts/draw_diagrams.py MERMAID_JS [CHROMIUM]`.

MERMAID_JS is `mermaid.min.js` of npm's package mermaid 11 (`npm install mermaid@11`); a browser
draws, by default Debian's chromium. The pictures are committed, so that pages show them without scripts, offline and on every host.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parent.parent / "docs"
# Labels as SVG's own text: HTML within a picture is not shown everywhere.
DRAW = """async ([name, text]) => {
  mermaid.initialize({
    startOnLoad: false, htmlLabels: false, theme: "neutral", fontFamily: "Helvetica, Arial, sans-serif", markdownAutoWrap: true,
    themeVariables: {noteBkgColor: "#fff6d5", noteTextColor: "#222222", noteBorderColor: "#c9b458"},
    flowchart: {htmlLabels: false, useMaxWidth: false}, sequence: {useMaxWidth: false,
      wrap: true, width: 120, actorMargin: 36, messageFontSize: 14, actorFontSize: 14},
  });
  return (await mermaid.render(name, text)).svg;
}"""


def main(mermaid: str, chromium: str = "/usr/bin/chromium") -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content("<body></body>")
        page.add_script_tag(path=mermaid)
        for source in sorted((DOCS / "diagrams").glob("*.mmd")):
            drawn = page.evaluate(DRAW, [source.stem, source.read_text()])
            # Pages may be dark.
            framed = drawn.replace(">", '><rect x="-500" y="-500" width="5000" height="5000" fill="#ffffff"/>', 1)
            (DOCS / "images" / f"{source.stem}.svg").write_text(framed + "\n")
            print(f"docs/images/{source.stem}.svg")
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit("usage: python scripts/draw_diagrams.py MERMAID_JS [CHROMIUM]")
    main(*sys.argv[1:])
