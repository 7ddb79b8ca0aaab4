"""The errors are one tree."""

from __future__ import annotations

import math
import traceback
from fractions import Fraction
from typing import Any

import pytest

from ckptstore.errors import (
    BlobUnavailable,
    CkptStoreError,
    InvalidConfig,
    InvalidFilter,
    InvalidUrl,
    MissingDriver,
    SerializationFailed,
    StoreMoved,
    own,
    require_number,
)


def test_every_error_is_of_one_tree() -> None:
    assert all(
        issubclass(error, CkptStoreError) for error in (InvalidUrl, InvalidConfig, InvalidFilter, SerializationFailed, MissingDriver)
    )
    assert issubclass(InvalidConfig, ValueError)


@pytest.mark.parametrize("exc", [MissingDriver("no driver"), StoreMoved("moved", to="there"), BlobUnavailable("away", transient=False)])
def test_the_copy_for_one_caller_says_the_same(exc: CkptStoreError) -> None:
    try:
        raise exc from KeyError("the cause")
    except CkptStoreError as caught:
        copied = own(caught)
    assert copied is not exc
    assert traceback.format_exception(copied) == traceback.format_exception(exc)
    assert vars(copied) == vars(exc)


@pytest.mark.parametrize("value", [2**1024, Fraction(2**1024)])
def test_a_number_that_no_float_holds_is_refused(value: Any) -> None:
    with pytest.raises(InvalidConfig, match=r"wait must be less than 2\*\*1024"):
        require_number("wait", value, 0)
    require_number("wait", value / 2 if isinstance(value, Fraction) else value // 2, 0)
    require_number("wait", math.inf, 0)
