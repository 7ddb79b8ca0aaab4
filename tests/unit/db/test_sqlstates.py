"""The table of SQLSTATEs: what the documentation shows is what the code does, and a code goes before its class."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptstore.db.sqlstates import FAULTS, Discard, Fault, fault_of

ERRORS_PAGE = Path(__file__).parents[3] / "docs" / "errors.md"


class DriverError(Exception):
    """An error as a driver raises it."""

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def row(code: str, fault: Fault) -> str:
    """The row of the documentation's table."""
    name = f"`{code}`" if len(code) == 5 else f"`{code}...`"
    discarded = {Discard.NONE: "kept", Discard.ONE: "replaced", Discard.ALL: "all replaced"}[fault.discard]
    return f"| {name} | {fault.brought_by} | {'yes' if fault.transient else 'no'} | {discarded} |"


def test_the_documentation_shows_the_whole_table() -> None:
    shown = [line for line in ERRORS_PAGE.read_text().splitlines() if line.startswith("| `")]
    assert shown == [row(code, fault) for code, fault in FAULTS.items()]


@pytest.mark.parametrize(
    ("state", "code"),
    [("08P01", "08"), ("40001", "40"), ("40003", "40003"), ("57P01", "57P01"), ("57999", "57"), ("XX000", "XX"), ("XX001", "XX001")],
)
def test_a_code_takes_precedence_over_its_class(state: str, code: str) -> None:
    assert fault_of(DriverError("x", state)) is FAULTS[code]


@pytest.mark.parametrize("state", ["22001", "23505", "42601", "0A000", None])
def test_other_errors_are_no_faults_that_pass(state: str | None) -> None:
    assert fault_of(DriverError("x", state)) is None


def test_a_stale_plan_is_known_in_any_language() -> None:
    stale = DriverError("Der Plan darf den Ergebnistyp nicht aendern", "0A000")
    stale.server_source_function = "RevalidateCachedQuery"  # type: ignore[attr-defined]
    assert fault_of(stale) is FAULTS["0A000"]
    assert fault_of(DriverError("cached plan must not change result type", "0A000")) is FAULTS["0A000"]
