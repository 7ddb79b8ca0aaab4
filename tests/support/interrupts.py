"""Interrupts: an exception at a chosen bytecode, as a signal handler would raise it."""

from __future__ import annotations

import concurrent.futures
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import ckptstore

PACKAGE = str(Path(ckptstore.__file__).parent)
#: Modules of the standard library whose Python code takes locks.
LOCKING = (threading.__file__, str(Path(concurrent.futures.__file__).parent))


def _made_within(call: Callable[[], object]) -> Iterator[object]:
    """A call whose handled exceptions end with this generator.

    Between some bytecodes of an `except` block, where no signal comes, an interrupt leaves its exception as the one that the thread
    handles: with all of its frames, to the end of the process.
    """
    yield call()


class Interrupter:
    """Interrupts calls on this thread before their n-th bytecode.

    Args:
        files: how the file names of the functions start whose bytecodes count.
        exception: what is raised.

    Attributes:
        swallowed: how many interrupted calls ended as if nothing had been raised.
    """

    def __init__(self, files: Sequence[str] = (PACKAGE, *LOCKING), exception: type[BaseException] = KeyboardInterrupt) -> None:
        self._files = tuple(files)
        self._exception = exception
        self._left = 0
        self.swallowed = 0

    def interrupts(self, call: Callable[[], object], number: int) -> bool:
        """Make a call and interrupt it before this bytecode; False if it has fewer."""
        self._left = number
        try:
            with self._counted():
                next(_made_within(call))
        except self._exception:
            return True
        self.swallowed += self._left <= 0
        return self._left <= 0

    if sys.version_info >= (3, 12):
        # There `settrace` misses the bytecodes of functions that are called for the first time.

        @contextmanager
        def _counted(self) -> Iterator[None]:
            monitoring, thread = sys.monitoring, threading.get_ident()

            def of_instruction(code: CodeType, _offset: int) -> Any:
                if not code.co_filename.startswith(self._files):
                    return monitoring.DISABLE
                # All threads come here.
                if threading.get_ident() == thread:
                    self._left -= 1
                    if self._left == 0:
                        raise self._exception
                return None

            monitoring.use_tool_id(monitoring.DEBUGGER_ID, "interrupts")
            monitoring.register_callback(monitoring.DEBUGGER_ID, monitoring.events.INSTRUCTION, of_instruction)
            monitoring.set_events(monitoring.DEBUGGER_ID, monitoring.events.INSTRUCTION)
            try:
                yield
            finally:
                monitoring.set_events(monitoring.DEBUGGER_ID, monitoring.events.NO_EVENTS)
                monitoring.register_callback(monitoring.DEBUGGER_ID, monitoring.events.INSTRUCTION, None)
                monitoring.free_tool_id(monitoring.DEBUGGER_ID)

    else:

        @contextmanager
        def _counted(self) -> Iterator[None]:
            def of_frame(frame: FrameType, _event: str, _argument: Any) -> Any:
                if not frame.f_code.co_filename.startswith(self._files):
                    return None
                frame.f_trace_opcodes = True
                frame.f_trace_lines = False
                return of_opcode

            def of_opcode(_frame: FrameType, event: str, _argument: Any) -> Any:
                # Millions of bytecodes come here, so that a call for each of them counts.
                if event == "opcode":
                    self._left -= 1
                    if self._left == 0:
                        raise self._exception
                return of_opcode

            before = sys.gettrace()
            sys.settrace(of_frame)
            try:
                yield
            finally:
                sys.settrace(before)

    def at_every(self, call: Callable[[], object], stride: int = 1) -> int:
        """Interrupt a call before every bytecode in turn, until it ends untouched; returns how often it was interrupted.

        A call that hangs because an earlier one was interrupted is ended by the test's timeout.
        """
        number = 1
        while self.interrupts(call, number):
            number += stride
        return (number - 1) // stride
