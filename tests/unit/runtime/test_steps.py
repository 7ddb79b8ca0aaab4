"""Operations that are written once: awaited, run in plain code, or dropped."""

from __future__ import annotations

import warnings

import pytest

from ckptstore.runtime.future import Future
from ckptstore.runtime.steps import Outcome, Steps


def one() -> Steps[int]:
    future: Future[int] = Future()
    future.set_result(1)
    result: int = yield future
    return result


async def test_an_outcome_is_awaited_or_asked_once() -> None:
    assert await Outcome(one(), name="one") == 1
    outcome = Outcome(one(), name="one")
    assert outcome.result() == 1
    with pytest.raises(RuntimeError, match="awaited before"):
        await outcome


def test_an_outcome_that_is_dropped_warns_as_a_coroutine_does() -> None:
    with pytest.warns(RuntimeWarning, match="operation 'one' was never awaited") as caught:
        Outcome(one(), name="one")
    assert caught[0].filename == __file__, "the warning should point at the caller's line"


def test_an_outcome_that_was_used_or_may_be_dropped_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Outcome(one(), name="one").result()
        Outcome(one(), name=None)
