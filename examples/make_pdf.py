"""Make documents/handbook.pdf from the texts beside it: `python examples/make_pdf.py`, with reportlab installed.

The output depends on the texts and on reportlab alone (`invariant=1`: no time, no random id), so it can be made again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Spacer

DOCUMENTS = Path(__file__).parent / "documents"
CHAPTERS = ("how-checkpoints-work.md", "storing-large-values.md", "operating-a-checkpoint-store.md", "glossary.md")
TITLE = "The ckptstore handbook"

_STYLES = getSampleStyleSheet()
_BODY = ParagraphStyle("body", parent=_STYLES["BodyText"], fontSize=10.5, leading=15, spaceAfter=4)
_POINT = ParagraphStyle("point", parent=_BODY, leftIndent=6 * mm, bulletIndent=2 * mm)


def flowables(markdown: str) -> Iterator[Flowable]:
    """The part of markdown that our texts use: headings, paragraphs, bullet lists, bold."""
    for block in re.split(r"\n\s*\n", markdown.strip()):
        if heading := re.match(r"(#+) (.*)", block):
            yield Paragraph(escape(heading[2]), _STYLES[f"Heading{len(heading[1])}"])
        elif block.startswith("- "):
            for point in re.split(r"(?:^|\n)- ", block)[1:]:
                yield Paragraph(inline(point), _POINT, bulletText="-")
        else:
            yield Paragraph(inline(block), _BODY)


def inline(text: str) -> str:
    """One paragraph in reportlab's own markup."""
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(" ".join(text.split())))


def number_page(canvas: Canvas, _template: SimpleDocTemplate) -> None:
    canvas.setFont("Helvetica", 8)
    canvas.drawCentredString(A4[0] / 2, 12 * mm, str(canvas.getPageNumber()))


def make(target: Path) -> None:
    story: list[Flowable] = [Spacer(1, 80 * mm), Paragraph(TITLE, _STYLES["Title"])]
    for chapter in CHAPTERS:
        story += [PageBreak(), *flowables((DOCUMENTS / chapter).read_text(encoding="utf-8"))]
    template = SimpleDocTemplate(str(target), pagesize=A4, title=TITLE, author="The ckptstore authors", invariant=1)
    template.build(story, onFirstPage=lambda *_: None, onLaterPages=number_page)


if __name__ == "__main__":
    make(DOCUMENTS / "handbook.pdf")
