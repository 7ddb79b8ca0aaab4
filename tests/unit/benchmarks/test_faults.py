"""What `make faults` counts from its writers' reports, and its proxy's resets."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from multiprocessing import Pipe
from typing import Any

import pytest
from langgraph.checkpoint.base import CheckpointTuple, empty_checkpoint

from benchmarks.faults.check import compare
from benchmarks.faults.faulty_link import faulty_link
from benchmarks.faults.journal import Evidence, Journal, Step
from benchmarks.faults.writer import values_of, writes_of
from benchmarks.workload import thread


def journal_of(*lines: str) -> Journal:
    """A journal that has taken in these lines of a process that is gone."""
    reports, pipe = Pipe(duplex=False)
    os.write(pipe.fileno(), "".join(f"{line}\n" for line in lines).encode())
    pipe.close()
    journal = Journal()
    journal.read(reports)
    return journal


def test_of_each_task_the_first_put_that_began_after_the_moment_counts() -> None:
    acks = ["put 1 a 9.0 9.5", "put 2 b 9.9 10.5", "put 3 a 10.5 10.75", "put 4 a 10.8 11.0", "put 5 b 10.5 12.0", "put 6 other 10.1 10.2"]
    journal = journal_of(*acks)
    assert journal.went_on(10.0, {"a", "b"}, 60) == [0.75, 2.0]
    assert journal.went_on(10.6, {"a", "b"}, 0) == pytest.approx([0.4])


def test_the_evidence_is_what_was_begun_and_what_was_acknowledged() -> None:
    journal = journal_of("begin x t1 0", "put x a 1 2", "written x", "begin y t2 7", "failed TimeoutError", "ready 0.5")
    assert journal.evidence == Evidence({"x": Step("t1", 0), "y": Step("t2", 7)}, {"x"}, {"x"})
    assert journal.evidence.of_thread("t2") == Evidence({"y": Step("t2", 7)})
    assert journal.errors == {"TimeoutError": 1}
    assert journal.marks == [("ready", 0.5)]


@pytest.mark.parametrize(
    ("thread_id", "state", "written", "verdict"),
    [
        ("t", values_of("t", 3), writes_of("t", 3), (0, 0)),
        ("t", values_of("t", 3), writes_of("t", 3)[:1], (1, 0)),
        ("t", values_of("t", 3), [], (1, 0)),
        ("t", values_of("t", 3), [("number", 4)], (1, 1)),
        ("t", values_of("t", 4), writes_of("t", 3), (1, 1)),
        ("t", {}, [], (2, 1)),
        ("other", values_of("t", 3), writes_of("t", 3), (1, 1)),
    ],
)
async def test_what_is_missing_is_lost_and_what_nobody_put_is_wrong(
    thread_id: str, state: dict[str, Any], written: list[tuple[str, Any]], verdict: tuple[int, int]
) -> None:
    checkpoint = {**empty_checkpoint(), "id": "x", "channel_values": state}

    async def listed() -> AsyncIterator[CheckpointTuple]:
        yield CheckpointTuple(thread(thread_id), checkpoint, {}, None, [("task", *write) for write in written])  # type: ignore[arg-type]

    assert await compare(listed(), Evidence({"x": Step("t", 3)}, {"x"}, {"x"})) == verdict


async def test_a_checkpoint_that_nobody_put_is_wrong() -> None:
    async def listed() -> AsyncIterator[CheckpointTuple]:
        yield CheckpointTuple(thread("t"), empty_checkpoint(), {})

    assert await compare(listed(), Evidence()) == (0, 1)


def test_a_reset_reaches_the_client_as_one_and_later_connections_work() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def echo() -> None:
            for _ in range(2):
                client, _ = server.accept()
                with client, suppress(ConnectionResetError):
                    client.sendall(client.recv(1))

        echoing = threading.Thread(target=echo)
        echoing.start()
        with faulty_link(f"postgresql://127.0.0.1:{server.getsockname()[1]}/d") as link:
            port = int(link.url.rpartition(":")[2].partition("/")[0])
            with socket.create_connection(("127.0.0.1", port)) as client:
                while link.reset() == 0:
                    pass
                with pytest.raises(ConnectionResetError):
                    client.recv(1)
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"x")
                assert client.recv(1) == b"x"
        echoing.join()
