"""Processes of a trial: writers, and short ones with a bound. All are forked from one server that has imported everything already."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self, TypeVar

from benchmarks.faults.journal import Journal
from benchmarks.faults.writer import Job, Work, write

T = TypeVar("T")

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["benchmarks.faults.preload"])


class Hung(Exception):
    """A process did not do within its bound what was asked of it."""


class WriterProcess:
    """A writer, and the thread that takes in its reports.

    Args:
        job: what it does.
        journal: where its reports go.
        bound_seconds: how long it may take to open its saver, and to end.
        work: what it runs.
    """

    def __init__(self, job: Job, journal: Journal, bound_seconds: float, work: Work = write) -> None:
        self.job = job
        self._journal = journal
        self._bound_seconds = bound_seconds
        reports, pipe = CONTEXT.Pipe(duplex=False)
        self._process = CONTEXT.Process(target=work, args=(job, pipe))
        self._reading = threading.Thread(target=journal.read, args=(reports,), daemon=True)
        self._process.start()
        pipe.close()
        self._reading.start()

    def __enter__(self) -> Self:
        """Wait until its saver is open."""
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        """End it, whatever it does."""
        self.kill()

    @property
    def pid(self) -> int:
        """The process's."""
        assert self._process.pid
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL; what it had reported is in the journal then."""
        self._process.kill()
        self._process.join()
        self._reading.join()

    def stop(self) -> bool:
        """Ask it to end its steps and to close its saver; returns whether it did so within the bound, and kills it if not."""
        if self._process.is_alive():
            self.send(signal.SIGTERM)
        self._process.join(self._bound_seconds)
        ended = not self._process.is_alive()
        self.kill()
        return ended


def _call(call: Callable[[], Any], pipe: Connection) -> None:
    with pipe:
        try:
            result = call()
        except Exception as exc:
            result = f"{type(exc).__name__}: {exc}"
            pipe.send((False, result))
        else:
            pipe.send((True, result))


def in_bounded_process(call: Callable[[], T], seconds: float) -> T:
    """Call a function in a process of its own.

    Args:
        call: a function of a module, or a `partial` of one.
        seconds: the longest that it may take.

    Raises:
        Hung: it took longer, and its process was killed.
        RuntimeError: it failed; the message has the error.
    """
    receiver, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_call, args=(call, sender))
    process.start()
    sender.close()
    try:
        if not receiver.poll(seconds):
            raise Hung(f"{call} took more than {seconds:.0f} s")
        succeeded, result = receiver.recv()
    finally:
        receiver.close()
        process.kill()
        process.join()
    if not succeeded:
        raise RuntimeError(result)
    return result  # type: ignore[no-any-return]
