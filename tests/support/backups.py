"""Backups of a saver, and restores of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.runtime.steps import drive
from ckptstore.transfer.backup import BackupReport, back_up


def take(saver: SQLAlchemySaver, to: Path) -> BackupReport:
    """Back a saver up to a folder."""
    return drive(back_up(saver.store, str(to), LANGGRAPH, saver._now))


def restore(source: Path, target: str, *options: str) -> Any:
    """The result of `ckptstore restore`."""
    return CliRunner().invoke(main, ["restore", str(source), "--to", target, *options])
