"""From a URL to a backend."""

from __future__ import annotations

import pytest

from ckptstore.blobs.backends.open import _folder_of


@pytest.mark.parametrize(
    ("rest", "on_windows", "folder"),
    [
        ("/C:/blobs/a%20b", True, "C:/blobs/a b"),
        ("localhost/d:/blobs", True, "d:/blobs"),
        ("/C:/blobs", False, "/C:/blobs"),
        ("/srv/blobs", True, "/srv/blobs"),
        ("relative/blobs", True, "relative/blobs"),
    ],
)
def test_a_file_url_names_a_folder(rest: str, on_windows: bool, folder: str) -> None:
    assert _folder_of(rest, on_windows=on_windows) == folder
