"""For PyInstaller, which finds this package by its entry point `pyinstaller40`: a bundle of an application needs the migrations."""

from __future__ import annotations


def hook_dirs() -> list[str]:
    """The folder of `hook-ckptstore.py`."""
    return list(__path__)
