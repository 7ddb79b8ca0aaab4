"""A write test that is killed leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.cli.doctor_cleanup import cleaned_up
from ckptstore.errors import CkptStoreError
from tests.integration.cli.test_doctor_measure import schemas

# Prints a line as soon as something is stored, and goes on.
KILLED = """
import sys, threading
from ckptstore.cli import doctor_measure
from ckptstore.db.url import parse_database_url
from ckptstore.langgraph import trial_writes

write = trial_writes._write
async def told(saver, thread_id, until, interrupted):
    if thread_id == "agent 0":
        print("writing", flush=True)
    await write(saver, thread_id, until, interrupted)
trial_writes._write = told
doctor_measure.measure(parse_database_url(sys.argv[1]), 60, threading.Event())
"""


@pytest.mark.starts_processes
def test_a_killed_test_leaves_nothing(lasting_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        saver.setup().result()
        with subprocess.Popen([sys.executable, "-c", KILLED, lasting_url], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"writing\n"
            process.send_signal(signal.SIGKILL)
            # The process that cleans up has the other end of this pipe until it is done.
            _, errors = process.communicate()
        assert errors == b"", "Python warned, or the process that cleans up failed"
        assert process.returncode == -signal.SIGKILL
        if lasting_url.startswith("postgresql"):
            assert schemas(saver) == []
        else:
            assert list(Path(lasting_url).parent.glob(".ckptstore-doctor-*")) == []


def test_what_can_not_be_taken_away_is_said(tmp_path: Path) -> None:
    with pytest.raises(CkptStoreError, match="not taken away"), cleaned_up(url="postgresql://nobody@127.0.0.1:1/none", schemas=["s"]):
        pass
