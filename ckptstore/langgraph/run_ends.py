"""Notices where graph runs end, whatever ends them: a result, an interrupt, an exception, a cancelled task, a stream that nobody reads on.

A saver is told when a run begins to read, and never that it has ended. LangChain tells its callback handlers, after all that the run stores
is stored; a handler is added to every run of this process by the hook that tracers use (`register_configure_hook`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler

from ckptstore.runtime.steps import Steps, drive, drive_async

#: What is to be done at the end of a run. It raises nothing.
End = Callable[[], Steps[None]]

#: The run that began last in this context.
_current: ContextVar[UUID] = ContextVar("ckptstore_run")
#: The runs that have begun and not ended.
_under_way: set[UUID] = set()
_ends: dict[UUID, End] = {}


def current_run() -> UUID | None:
    """The id of the run that began last in this context; None if none did, or it has ended."""
    run_id = _current.get(None)
    return run_id if run_id in _under_way else None


def at_end(run_id: UUID, end: End) -> None:
    """Do something when a run that is under way has ended, before its caller goes on."""
    _ends[run_id] = end


def _take(run_id: UUID) -> End | None:
    _under_way.discard(run_id)
    return _ends.pop(run_id, None)


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Starts(BaseCallbackHandler):
    """Notes starts, and on threads without an event loop ends."""

    # On the caller's thread and in its context.
    run_inline = True
    ignore_llm = ignore_chat_model = ignore_retriever = ignore_agent = ignore_retry = ignore_custom_event = True

    def on_chain_start(self, *_given: Any, run_id: UUID, **_options: Any) -> None:
        _under_way.add(run_id)
        _current.set(run_id)

    def on_chain_end(self, *_given: Any, run_id: UUID, **_options: Any) -> None:
        if not _is_in_event_loop() and (end := _take(run_id)) is not None:
            drive(end())

    def on_chain_error(self, *_given: Any, run_id: UUID, **_options: Any) -> None:
        self.on_chain_end(run_id=run_id)


class _AsyncEnds(AsyncCallbackHandler):
    """Notes ends in event loops, which must not be blocked."""

    run_inline = True
    ignore_llm = ignore_chat_model = ignore_retriever = ignore_agent = ignore_retry = ignore_custom_event = True

    @property
    def ignore_chain(self) -> bool:
        """Without an event loop, LangChain would start one for each coroutine."""
        return not _is_in_event_loop()

    async def on_chain_end(self, *_given: Any, run_id: UUID, **_options: Any) -> None:
        if (end := _take(run_id)) is not None:
            await drive_async(end())

    async def on_chain_error(self, *_given: Any, run_id: UUID, **_options: Any) -> None:
        await self.on_chain_end(run_id=run_id)


_handlers: list[ContextVar[BaseCallbackHandler | None]] = []


def watch_runs() -> None:
    """Notice runs from now on, in this process."""
    if _handlers:
        return
    # Loaded at its first use: it loads some hundred modules.
    from langchain_core.tracers.context import register_configure_hook

    handlers: list[BaseCallbackHandler] = [_Starts(), _AsyncEnds()]
    for handler in handlers:
        variable: ContextVar[BaseCallbackHandler | None] = ContextVar(f"ckptstore_{type(handler).__name__}", default=handler)
        _handlers.append(variable)
        register_configure_hook(variable, inheritable=False)
