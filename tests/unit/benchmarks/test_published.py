"""The documents have the committed results, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import published
from benchmarks.contenders import ASYNC_SQLITE, CKPTSTORE_SQLITE, IN_MEMORY
from benchmarks.published import BEGIN, END, HEADLINE, headline, main, page, records, replaced

RESULTS = Path(published.CHECKOUT) / "benchmarks" / "results"


def test_the_documents_have_the_committed_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, "run python -m benchmarks.published"
    assert "not up to date: nothing" in capsys.readouterr().out


def test_a_document_that_is_not_up_to_date_is_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"before\n{BEGIN}\nold figures\n{END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(published, "documents", lambda _found: {document: "new figures"})
    assert main(["--check"]) == 1
    assert "old figures" in document.read_text(encoding="utf-8")
    assert [main([]), main(["--check"])] == [0, 0]
    assert document.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\nnew figures\n\n{END}\nafter\n"


def test_a_document_without_the_marks_is_refused() -> None:
    with pytest.raises(LookupError, match="has no lines"):
        replaced("nothing to replace", "tables")


def test_every_committed_section_and_row_is_on_the_page() -> None:
    found = records(RESULTS)
    assert found.keys() == {path.stem for path in RESULTS.glob("*.json")}
    text = page(found)
    labels = [row["label"] for record in found.values() for table in record["tables"] for row in table["rows"]]
    assert labels
    assert all(f"| {label} |" in text for label in labels)


def test_the_best_of_the_savers_that_store_anything_is_bold() -> None:
    figures: dict[str, Any] = {IN_MEMORY: {"median": 9}, ASYNC_SQLITE: {"median": 2}, CKPTSTORE_SQLITE: {"median": 1}}

    def record(title: str, label: str) -> dict[str, Any]:
        row = {"label": label, "more_is_better": False, "figures": figures, "gains": {}}
        environment = {"machine": "a machine", "python": "a Python", "packages": "some packages", "PostgreSQL": "none"}
        return {"date": "2026-01-02T00:00:00", "laps": 1, "environment": environment, "tables": [{"title": title, "rows": [row]}]}

    found: dict[str, Any] = {}
    for figure in HEADLINE:
        made = record(figure.title, figure.row)
        found.setdefault(figure.section, made)["tables"] += [] if found[figure.section] is made else made["tables"]
    for line in headline(found).splitlines()[2 : 2 + len(HEADLINE)]:
        assert line.endswith("| 9 | 2 | - | **1** | - |")
