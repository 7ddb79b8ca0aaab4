"""PDFs that could do something by themselves."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from ckptstore.inspector.pdf_actions import may_act
from tests.support.pdfs import pdf_with

HANDBOOK = Path(__file__).parents[3] / "examples" / "documents" / "handbook.pdf"
SCRIPT = b"<< /S /JavaScript /JS (app.alert) >>"


def objects(content: bytes, entries: bytes = b"/Filter /FlateDecode") -> bytes:
    """An object that has others in a compressed stream."""
    data = zlib.compress(content)
    return b"<< /Type /ObjStm /N 1 /First 4 %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(data), data)


@pytest.mark.parametrize(
    "data",
    [
        pdf_with(b"/OpenAction " + SCRIPT),
        pdf_with(b"/OpenAction 4 0 R", SCRIPT),
        pdf_with(b"/Names << /JavaScript 4 0 R >>"),
        pdf_with(b"/AA << /WC << /S /URI /URI (http://evil.example) >> >>"),
        pdf_with(b"/OpenAction << /S /URI /URI (http://evil.example) >>"),
        pdf_with(b"/OpenAction << /S /Launch /F (x) >>"),
        pdf_with(b"/OpenAction << /S /SubmitForm >>"),
        pdf_with(b"/AcroForm << /XFA 4 0 R >>"),
        # By codes of letters, and within a stream.
        pdf_with(b"/OpenAction << /S /J#61vaScript /J#53 (app.alert) >>"),
        pdf_with(b"", objects(b"9 0 " + SCRIPT)),
        pdf_with(b"", objects(b"9 0 " + SCRIPT).replace(b"/ObjStm", b"/Obj#53tm")),
        # What can't be looked into.
        pdf_with(b"", objects(b"9 0 null", b"/Filter /LZWDecode")),
        pdf_with(b"", objects(b"9 0 null", b"/Filter [/ASCIIHexDecode /FlateDecode]")),
        pdf_with(b"", objects(b"9 0 null", b"/Filter /FlateDecode /DecodeParms << /Predictor 12 >>")),
        pdf_with(b"", objects(b"9 0 null")[:-30]),
        pdf_with(b"/Type /ObjStm"),
    ],
)
def test_one_that_could_act_is_known(data: bytes) -> None:
    assert may_act(data)


def test_one_that_is_too_large_to_be_looked_into_could_act() -> None:
    assert may_act(pdf_with(b"", objects(bytes(70 * 1024 * 1024))))


@pytest.mark.parametrize(
    "data",
    [
        pdf_with(b""),
        HANDBOOK.read_bytes(),
        pdf_with(b"/OpenAction [3 0 R /Fit]", b"<< /S /URI /URI (http://example.org) >>"),
        pdf_with(b"/OpenAction 4 0 R", b"<< /S /GoTo /D [3 0 R /Fit] >>"),
        pdf_with(b"", b"<< /S /URI /URI (http://example.org) >>", objects(b"9 0 << /Font /F1#20Bold >>")),
    ],
)
def test_one_that_waits_for_clicks_is_not(data: bytes) -> None:
    assert not may_act(data)
