"""Settings of blob backends."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore.blobs.settings import BlobSettings
from tests.support.blob_backends import SECRET


def test_settings_do_not_show_their_options() -> None:
    assert SECRET not in repr(BlobSettings(options={"secret": SECRET}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_parallel": 0},
        {"retry_seconds": -1},
        {"part_bytes": 1024},
        {"cache_bytes": -1},
        {"cache_folder_bytes": -1},
        {"retry_seconds": float("nan")},
        {"max_parallel": "8"},
        {"part_bytes": 1e9},
    ],
)
def test_settings_that_could_never_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BlobSettings(**wrong)
