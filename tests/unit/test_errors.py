"""The errors are one tree."""

from __future__ import annotations

from ckptstore.errors import (
    CkptStoreError,
    InvalidConfig,
    InvalidFilter,
    InvalidUrl,
    MissingDriver,
    SerializationFailed,
)


def test_every_error_is_of_one_tree() -> None:
    assert all(
        issubclass(error, CkptStoreError) for error in (InvalidUrl, InvalidConfig, InvalidFilter, SerializationFailed, MissingDriver)
    )
    assert issubclass(InvalidConfig, ValueError)
