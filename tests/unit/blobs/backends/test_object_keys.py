"""Names of objects."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from ckptstore.blobs.backends.object_keys import is_object_key, temporary_name


@given(st.text())
def test_no_key_leaves_the_folder(text: str) -> None:
    inside = os.path.normpath(f"/store/{text}").startswith("/store/") and "\0" not in text
    assert not is_object_key(text) or inside


@given(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True))
def test_a_file_that_is_being_written_has_no_keys_name(name: str) -> None:
    assert is_object_key(name)
    assert not is_object_key(temporary_name(name))
    assert temporary_name(name) != temporary_name(name)
