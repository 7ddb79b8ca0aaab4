"""Requests for one call, which may be interrupted at any bytecode."""

from __future__ import annotations

from ckptstore.runtime.coalesced import CoalescedCall
from tests.support.interrupts import Interrupter


def test_a_request_that_is_interrupted_suppresses_no_later_one() -> None:
    interrupter, number = Interrupter(), 1
    interrupted = True
    while interrupted:
        calls: list[int] = []
        coalesced = CoalescedCall()
        interrupted = interrupter.interrupts(lambda: coalesced.request(lambda: calls.append(1)), number)  # noqa: B023
        coalesced.request(lambda: calls.append(1))  # noqa: B023
        assert calls
        coalesced.begun += 1
        calls.clear()
        coalesced.request(lambda: calls.append(1))  # noqa: B023
        assert calls == [1]
        number += 1
    assert number > 5
