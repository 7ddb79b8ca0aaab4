"""Digests: names that say what they belong to, and never collide across kinds."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from ckptstore.values import digests

CONTENT = b"content" * 100


def test_the_names_in_stored_layouts_stay_the_same() -> None:
    # Part of the file format: layouts and keys of objects hold them.
    assert digests.digest_of(CONTENT) == hashlib.sha256(CONTENT).hexdigest()
    assert digests.compact_digest_of(b"") == "47DEQpj8HBSa-_TImW-5JCeuQeQ"
    assert digests.list_digest(b"") == "+47DEQpj8HBSa-_TImW-5JCeuQeQ"
    assert digests.blob_reference(hashlib.sha256(b"").hexdigest()) == "@47DEQpj8HBSa-_TImW-5JCeuQeQ"


def test_one_hash_gives_both_forms() -> None:
    compact, whole = digests.both_digests_of(memoryview(CONTENT))
    assert (compact, whole) == (digests.compact_digest_of(CONTENT), digests.digest_of(CONTENT))
    assert digests.compact(whole) == compact


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_a_file_hashes_like_its_bytes(tmp_path: Path, size: int) -> None:
    content = b"x" * size
    (tmp_path / "file").write_bytes(content)
    assert digests.hash_file(tmp_path / "file") == (digests.digest_of(content), size)


def test_a_name_belongs_to_its_bytes_only() -> None:
    for name in (digests.compact_digest_of(CONTENT), digests.list_digest(CONTENT)):
        assert digests.matches_digest(name, CONTENT)
        assert not digests.matches_digest(name, CONTENT + b"x")


def test_two_uploads_of_the_same_content_have_different_keys_in_one_folder() -> None:
    digest = digests.digest_of(CONTENT)
    one, other = digests.new_object_key(digest), digests.new_object_key(digest)
    assert one != other
    for key in (one, other):
        assert re.fullmatch(rf"{digest[:2]}/{digest}-[0-9a-f]{{16}}", key)
