"""What the commands that transfer threads share."""

from __future__ import annotations

import io

import pytest

from ckptstore.cli.transfer import print_report, progress_bar
from ckptstore.transfer.report import TransferReport


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (TransferReport(), 0),
        (TransferReport(skipped_threads=["a"]), 0),
        (TransferReport(failed_threads={"a": "b"}, stopped=True), 1),
        (TransferReport(stopped=True), 130),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_the_exit_code_shows_how_it_ended(report: TransferReport, code: int, as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        print_report(report, as_json=as_json)
    assert exited.value.code == code
    shown = capsys.readouterr()
    assert ("interrupted" in shown.err) == (report.stopped and not as_json)


def test_the_bar_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr("sys.stderr", stream)
        with progress_bar(10) as show:
            show(TransferReport(threads=2), 5)
        assert ("5/10" in stream.getvalue()) == stream.isatty()
