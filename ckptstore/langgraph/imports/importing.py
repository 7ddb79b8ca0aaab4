"""Importing threads from another saver's store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from langgraph.checkpoint.serde.base import SerializerProtocol

from ckptstore.langgraph.comparing import compare_checkpoints, loading
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.langgraph.imports.opening import Source, open_source
from ckptstore.langgraph.imports.sources import loading_from
from ckptstore.runtime.steps import Steps
from ckptstore.runtime.worker_threads import run_in_thread
from ckptstore.store.store import Store
from ckptstore.transfer.copying import run_transfer, target_keys
from ckptstore.transfer.mirroring import require_whole_choice
from ckptstore.transfer.options import TransferCallbacks, TransferOptions
from ckptstore.transfer.record_source import RecordSource
from ckptstore.transfer.report import TransferReport
from ckptstore.transfer.run import Transfer


def import_threads(
    source: Source,
    target: Store,
    options: TransferOptions,
    *,
    schema: str | None,
    serde: SerializerProtocol | None,
    target_serde: SerializerProtocol,
    clock: Callable[[], int],
    callbacks: TransferCallbacks,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Steps[TransferReport]:
    """Import threads with everything that LangGraph can ask for.

    Args:
        source: what to import from; it is only read.
        target: where each thread appears as a whole.
        options: what is imported.
        schema: the PostgreSQL schema of the source's tables.
        serde: the serialiser that wrote the source; None for LangGraph's own.
        target_serde: the target's serialiser.
        clock: gives microseconds since 1970, UTC.
        callbacks: called while it runs.
        loop: the event loop that an asynchronous saver belongs to.

    Raises:
        InvalidSource: there is no saver's store.
        MissingDriver: objects are to be compared, and the official saver is not installed; nothing was stored.
        CheckpointCorrupt: the two savers load something different.
        ThreadExists: with `refuse`, a thread is at the target already; nothing was stored.
        DatabaseUnavailable: one of the two can't be reached any more; run it again, and it continues.
    """
    tag_keys = yield from target_keys(target)
    if options.mirror:
        require_whole_choice(options.choice)
    yield from target.finish_deletions()
    reader = yield from open_source(source, schema, serde, target_serde, tag_keys, loop)
    with ExitStack() as stack:
        try:
            load = None
            if options.verify == "objects":
                opening = partial(stack.enter_context, loading_from(source, schema, serde, loop))
                load = yield run_in_thread(opening, "ckptstore-compare")
        except BaseException:
            reader.close()
            raise
        transfer = Transfer(RecordSource(reader, target, options.choice, LANGGRAPH), target, None, options, clock, callbacks)
        report = yield from run_transfer(transfer, target, reader.close)
        if load is not None:
            loaded = loading(target, target_serde)
            report.compared_checkpoints = yield from compare_checkpoints(load, loaded, target_serde, transfer.sample.keys)
    return report
