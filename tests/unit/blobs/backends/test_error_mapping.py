"""Errors of file systems, as the store's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptstore.blobs.backends.open import open_backend
from tests.support.blob_backends import KEY


async def test_a_defect_of_ours_is_not_called_a_fault_of_the_backend(tmp_path: Path) -> None:
    for backend in (open_backend(tmp_path), open_backend("memory://defects")):
        with pytest.raises(TypeError):
            await backend.put(KEY, "text")  # type: ignore[arg-type]
