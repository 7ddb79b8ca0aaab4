"""Callers that give up: after 10 ms, hundreds of times, while somebody else holds the database's lock."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg

from benchmarks.contenders import Contender
from benchmarks.faults.lab import Lab, Trial, strike_often
from benchmarks.faults.processes import WriterProcess

_HELD_SECONDS = 2.0
_SETTLE_SECONDS = 0.2
#: ckptstore's table of checkpoints, and the official saver's.
_TABLES = ("ckpt_checkpoint", "checkpoints")


def concerns(lab: Lab, contender: Contender) -> bool:
    """Everyone."""
    return True


@contextmanager
def _locked_file(file: str) -> Iterator[None]:
    with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def _locked_table(url: str) -> Iterator[None]:
    with psycopg.connect(url) as connection:
        present = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL"
        for (name,) in connection.execute(present, [list(_TABLES)]).fetchall():
            connection.execute(psycopg.sql.SQL("LOCK TABLE {}").format(psycopg.sql.Identifier(name)))
        yield
        connection.rollback()


def run(trial: Trial) -> None:
    """How soon: from when the lock is free, and callers are patient again."""
    lock = _locked_file if trial.contender.in_a_file else _locked_table

    def give_up(writer: WriterProcess) -> float:
        writer.send(signal.SIGUSR1)
        # Calls that nobody will cancel end before the lock is taken.
        time.sleep(_SETTLE_SECONDS)
        with lock(trial.url):
            time.sleep(_HELD_SECONDS)
            writer.send(signal.SIGUSR1)
        return time.monotonic()

    strike_often(trial, give_up, trial.lab.times(4, 1))
