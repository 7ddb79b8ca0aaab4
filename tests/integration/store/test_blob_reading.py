"""Files of the blob store, read with a bound."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import BlobMissing, InvalidConfig
from ckptstore.runtime.steps import drive
from ckptstore.store.blob_reading import read_blob
from tests.support.inspector import reading_store

FILE = b"a file" * 20_000
DIGEST = hashlib.sha256(FILE).hexdigest()


@pytest.fixture
def filled(sqlite_url: str) -> str:
    with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        saver.blobs.put(FILE).result()
    return sqlite_url


def test_a_blob_is_read_whole(filled: str) -> None:
    with reading_store(filled) as store:
        assert drive(read_blob(store, DIGEST, len(FILE))) == FILE


def test_a_larger_one_is_not_read(filled: str) -> None:
    with reading_store(filled) as store, pytest.raises(InvalidConfig, match="120000 bytes, more than the 119999"):
        drive(read_blob(store, DIGEST, len(FILE) - 1))


def test_a_missing_one_is_named(filled: str) -> None:
    with reading_store(filled) as store:
        with pytest.raises(BlobMissing):
            drive(read_blob(store, "0" * 64, 10))
        shutil.rmtree(f"{filled}.blobs")
        with pytest.raises(BlobMissing):
            drive(read_blob(store, DIGEST, len(FILE)))
