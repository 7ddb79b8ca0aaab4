"""Two processes that run the same thread at the same time, again and again: no run is lost, and none goes on from another's middle."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import ThreadBusy
from ckptstore.langgraph.one_writer import LEASE_SECONDS
from tests.support.databases import url_of
from tests.support.forks import fork
from tests.support.leases import ON_DATABASES, pass_time, queue
from tests.support.programs import THREAD, count_up, counting, run_for_ever

pytestmark = pytest.mark.starts_processes

# Of each of two processes: a thousand on a file, fewer where each takes ten round trips to a server, and where who is refused asks again
# at once.
RUNS = {"sqlite": 500, "asyncpg": 50, "psycopg": 50}
RUNS_REFUSED = 20


def counts_of_two(url: str, mode: str, runs: int) -> list[int]:
    """What each run of two processes counted up to."""
    forks = [fork(count_up, url, mode, runs) for _ in range(2)]
    counts = [each.everything() for each in forks]
    assert [each.process.exitcode for each in forks] == [0, 0]
    return sorted(count for found in counts for count in found)


@ON_DATABASES
@pytest.mark.parametrize("mode", ["wait", "refuse"])
def test_no_run_is_lost_and_none_is_merged(database: str, mode: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url, runs = url_of(database, request, tmp_path), RUNS[database] if mode == "wait" else RUNS_REFUSED
    assert counts_of_two(url, mode, runs) == list(range(1, 2 * runs + 1))
    with SQLAlchemySaver.from_conn_string(url) as saver:
        assert counting(saver).get_state(THREAD).values == {"count": 2 * runs}
        assert queue(saver) == []


@ON_DATABASES
def test_a_killed_holder_has_the_thread_until_its_lease_expires(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = url_of(database, request, tmp_path)
    killed = fork(run_for_ever, url)
    assert killed.sent.recv() == "runs"
    killed.process.kill()
    assert killed.everything() == []
    with SQLAlchemySaver.from_conn_string(url, one_writer="refuse") as saver:
        graph = counting(saver, lambda _state: {})
        with pytest.raises(ThreadBusy) as raised:
            graph.invoke({"count": 1}, THREAD)
        assert raised.value.pid == killed.process.pid
        pass_time(saver, LEASE_SECONDS)
        # What the killed run had stored is there.
        assert graph.invoke({"count": 1}, THREAD) == {"count": 2}
