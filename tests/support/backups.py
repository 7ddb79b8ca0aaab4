"""Backups of a saver, and restores of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.runtime.steps import drive
from ckptstore.transfer.backup import BackupReport, Format, back_up


def take(saver: SQLAlchemySaver, to: Path, wanted: Format = "sqlite", pg_folder: str | None = None) -> BackupReport:
    """Back a saver up to a folder."""
    if saver.store.runner.statements.on_sqlite:
        return drive(back_up(saver.store, str(to), LANGGRAPH, saver._now))
    return drive(back_up(saver.store, str(to), LANGGRAPH, saver._now, wanted=wanted, pg_folder=pg_folder))


def restore(source: Path, target: str, *options: str) -> Any:
    """The result of `ckptstore restore`."""
    return CliRunner().invoke(main, ["restore", str(source), "--to", target, *options])
