"""Small PDFs."""

from __future__ import annotations


def pdf_with(entries: bytes, *objects: bytes) -> bytes:
    """A PDF of one page.

    Args:
        entries: of its catalogue.
        objects: further ones, numbered from 4.
    """
    made = [
        b"<< /Type /Catalog /Pages 2 0 R " + entries + b" >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] >>",
        *objects,
    ]
    out = b"%PDF-1.7\n"
    offsets = []
    for number, each in enumerate(made, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(made) + 1)
    return out + head + table + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(made) + 1, len(out))
