"""Errors of file systems, as the store's own."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ckptstore.blobs.backends.error_mapping import map_error
from ckptstore.blobs.backends.open import open_backend
from ckptstore.errors import BlobCorrupt, BlobUnavailable
from tests.support.blob_backends import KEY


async def test_a_defect_of_ours_is_not_called_a_fault_of_the_backend(tmp_path: Path) -> None:
    for backend in (open_backend(tmp_path), open_backend("memory://defects")):
        with pytest.raises(TypeError):
            await backend.put(KEY, "text")  # type: ignore[arg-type]


class ChecksumError(Exception):
    """Of the name that Google's file system gives a download that does not fit its checksum."""


class Refused(Exception):
    """What a client of another store raises: the status has one of several names."""

    def __init__(self, name: str, status: int) -> None:
        setattr(self, name, status)


@pytest.mark.parametrize(
    "exc", [ChecksumError(), OSError(errno.EBADMSG, "Bad message"), OSError(errno.EUCLEAN, "Structure needs cleaning")]
)
def test_a_checksum_that_does_not_fit_is_damage_where_an_object_is_read_and_a_fault_elsewhere(exc: Exception) -> None:
    read = map_error(exc, "gs://bucket", KEY, reads=True)
    assert isinstance(read, BlobCorrupt)
    assert KEY in str(read)
    assert isinstance(map_error(exc, "gs://bucket", KEY), BlobUnavailable)


@pytest.mark.parametrize("name", ["status_code", "code", "status"])
@pytest.mark.parametrize(
    ("status", "transient"), [(400, False), (401, False), (403, False), (408, True), (429, True), (500, True), (501, False), (503, True)]
)
def test_another_stores_status_decides_whether_a_retry_makes_sense(name: str, status: int, transient: bool) -> None:
    error = map_error(Refused(name, status), "az://container")
    assert isinstance(error, BlobUnavailable)
    assert error.transient is transient
    assert str(status) in str(error)
