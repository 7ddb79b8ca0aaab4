"""The errors are one tree."""

from __future__ import annotations

import traceback

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
