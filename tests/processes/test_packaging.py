"""What is uploaded to PyPI: an sdist from which a wheel can be built, and a description that PyPI shows."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "*.egg-info", "__pycache__", ".*_cache", "site", "demo-data")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    source, folder = tmp_path_factory.mktemp("source") / "ckptstore", tmp_path_factory.mktemp("dist")
    shutil.copytree(CHECKOUT, source, ignore=LEFT_OUT)
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=source, check=True, capture_output=True)
    return sorted(folder.iterdir())


def test_the_description_can_be_shown(packages: list[Path]) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, packages)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_the_sdist_can_be_worked_on(packages: list[Path]) -> None:
    (sdist,) = (path for path in packages if path.suffixes[-2:] == [".tar", ".gz"])
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "mkdocs.yml", "alembic.ini", "scripts/check_sizes.py", "docs/index.md", "SECURITY.md"} <= names
    assert not [name for name in names if name.endswith((".pyc", ".sqlite"))]
