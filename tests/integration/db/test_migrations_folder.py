"""The migrations are found however ckptstore was installed: unpacked, in a zip archive, and by PyInstaller."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipapp
import zipfile
from pathlib import Path

import pytest

from ckptstore.pyinstaller import hook_dirs

CHECKOUT = Path(__file__).parents[3]

APPLICATION = """
import sys
import ckptstore
from langgraph.checkpoint.base import empty_checkpoint
from ckptstore import SQLAlchemySaver

where = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
with SQLAlchemySaver.from_conn_string(sys.argv[1]) as saver:
    saver.put(where, empty_checkpoint(), {"source": "input", "step": -1, "parents": {}}, {})
    assert saver.get_tuple(where) is not None
print(ckptstore.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout, built with the test environment's own hatchling."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # Not in the checkout: the build writes there.
    for name in ("ckptstore", "migrations"):
        shutil.copytree(CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=source, check=True, capture_output=True
    )
    (built,) = folder.glob("*.whl")
    return built


def run(path: list[str], *arguments: str, cwd: Path) -> str:
    """What a Python prints that imports from `path` first, and everything but ckptstore from the test environment."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_first_put_with_the_wheel_unpacked(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    (tmp_path / "app.py").write_text(APPLICATION)
    imported = run([str(tmp_path / "installed")], "app.py", "c.sqlite", cwd=tmp_path)
    assert Path(imported).is_relative_to(tmp_path / "installed")


def test_a_first_put_with_the_wheel_as_an_archive_on_the_path(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    assert run([str(wheel)], "app.py", "c.sqlite", cwd=tmp_path).startswith(str(wheel))


def test_a_first_put_from_a_zipapp(wheel: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    zipfile.ZipFile(wheel).extractall(source)
    (source / "__main__.py").write_text(APPLICATION)
    archive = tmp_path / "app.pyz"
    zipapp.create_archive(source, archive)
    # A zipapp comes first on its own path.
    assert run([], "app.pyz", "c.sqlite", cwd=tmp_path).startswith(str(archive))


def test_pyinstaller_finds_the_hook_in_the_wheel(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    (text,) = [path.read_text() for path in tmp_path.glob("*.dist-info/entry_points.txt")]
    assert "[pyinstaller40]\nhook-dirs = ckptstore.pyinstaller:hook_dirs" in text
    (folder,) = hook_dirs()
    assert (Path(folder) / "hook-ckptstore.py").is_file()
