"""Where the migrations are, whichever way ckptstore was installed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path


@contextmanager
def migrations_folder() -> Iterator[Path]:
    """The folder of the migrations, for Alembic, which reads them as files.

    They are in the package when it was installed from a wheel or is part of a PyInstaller bundle, and next to it in a checkout. In a zip
    archive (a zipapp, a wheel on `sys.path`) they are copied to a temporary folder.
    """
    package = resources.files("ckptstore")
    if isinstance(package, Path):
        packaged = package / "migrations"
        yield packaged if packaged.is_dir() else package.parent / "migrations"
        return
    with tempfile.TemporaryDirectory(prefix="ckptstore-migrations-") as folder:
        _copy(package / "migrations", Path(folder))
        yield Path(folder)


def _copy(source: Traversable, target: Path) -> None:
    # `resources.as_file` takes folders only from Python 3.12 on.
    for entry in source.iterdir():
        if entry.is_dir():
            (target / entry.name).mkdir()
            _copy(entry, target / entry.name)
        else:
            (target / entry.name).write_bytes(entry.read_bytes())
