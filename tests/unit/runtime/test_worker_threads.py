"""Worker threads whose callers are interrupted at any bytecode, also at their first use."""

from __future__ import annotations

from ckptstore.runtime.worker_threads import WorkerThreads, run_in_thread
from tests.support.interrupts import Interrupter

WAIT_SECONDS = 20


def test_worker_threads_survive_interrupts_at_their_first_use() -> None:
    interrupter, number = Interrupter(), 1
    interrupted = True
    while interrupted:
        workers = WorkerThreads("test", 1)
        interrupted = interrupter.interrupts(lambda workers=workers: workers.submit(lambda: 1).result(), number)  # type: ignore[misc]
        assert workers.submit(lambda: 2).result(WAIT_SECONDS) == 2
        assert run_in_thread(lambda workers=workers: workers.close(WAIT_SECONDS), "close").result(WAIT_SECONDS)  # type: ignore[misc]
        number += 1
    assert number > 20
