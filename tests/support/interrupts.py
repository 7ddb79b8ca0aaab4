"""Interrupts: a KeyboardInterrupt at a chosen bytecode, as a signal handler would raise it."""

from __future__ import annotations

import concurrent.futures
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import ckptstore

PACKAGE = str(Path(ckptstore.__file__).parent)
#: Modules of the standard library whose Python code takes locks.
LOCKING = (threading.__file__, str(Path(concurrent.futures.__file__).parent))


class Interrupter:
    """Interrupts calls on this thread before their n-th bytecode.

    Args:
        files: how the file names of the functions start whose bytecodes count.
    """

    def __init__(self, files: Sequence[str] = (PACKAGE, *LOCKING)) -> None:
        self._files = tuple(files)
        self._left = 0

    def interrupts(self, call: Callable[[], object], number: int) -> bool:
        """Make a call and interrupt it before this bytecode; False if it has fewer, and so has ended."""
        self._left = number
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            call()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(self._files):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._count

    def _count(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "opcode":
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt
        return self._count

    def at_every(self, call: Callable[[], object], stride: int = 1) -> int:
        """Interrupt a call before every bytecode in turn, until it ends untouched; returns how often it was interrupted.

        A call that hangs because an earlier one was interrupted is ended by the test's timeout.
        """
        number = 1
        while self.interrupts(call, number):
            number += stride
        return (number - 1) // stride
