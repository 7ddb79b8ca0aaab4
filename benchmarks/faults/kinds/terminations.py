"""Ended connections: `pg_terminate_backend` of all of them at once."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import psycopg

from benchmarks.contenders import Contender
from benchmarks.faults.lab import Lab, Trial, strike_often
from benchmarks.faults.processes import WriterProcess

_TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def concerns(lab: Lab, contender: Contender) -> bool:
    """Who is on a server."""
    return not contender.in_a_file


def _terminate(admin: psycopg.Connection[Any], _: WriterProcess) -> float:
    admin.execute(_TERMINATE).fetchall()
    return time.monotonic()


def run(trial: Trial) -> None:
    """How soon: from their end on."""
    with psycopg.connect(trial.url, autocommit=True) as admin:
        strike_often(trial, partial(_terminate, admin), trial.lab.times(30, 5))
