"""Importing threads from another saver: `import_from`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.serde.base import SerializerProtocol

from ckptstore.errors import require_functions
from ckptstore.langgraph.transfer import Transferring
from ckptstore.runtime.steps import Steps, drive, drive_async
from ckptstore.transfer.options import OnConflict, TransferCallbacks, TransferOptions, Verify, ignore_progress, never_stop
from ckptstore.transfer.report import TransferReport

if TYPE_CHECKING:
    from ckptstore.langgraph.imports.opening import Source


class Importing(Transferring):
    """The part of the saver that imports threads from others' savers."""

    def import_from(
        self,
        source: Source,
        *,
        schema: str | None = None,
        serde: SerializerProtocol | None = None,
        threads: Sequence[Any] | None = None,
        filter: dict[str, Any] | None = None,
        since: datetime | None = None,
        newest: int | None = None,
        on_conflict: OnConflict = "skip",
        mirror: bool = False,
        verify: Verify = "digests",
        progress: Callable[[TransferReport, int], None] = ignore_progress,
        should_stop: Callable[[], bool] = never_stop,
    ) -> TransferReport:
        """Import threads from another saver, with everything that LangGraph can ask for.

        The source is opened read-only and can be in use. From the file of `SqliteSaver` or `AsyncSqliteSaver`, and from the tables of
        `PostgresSaver` (the shallow variants too), bytes are taken over and no object is built, so no class of yours is imported; both
        can be in this saver's own file or database. Any other saver is read by `list` or `alist`. Each thread appears as a whole, in one
        transaction. Repeat a run that ended midway, and it continues; a later run brings what has changed since.

        Args:
            source: the path or URL of an official saver's database, or any saver.
            schema: the PostgreSQL schema of the source's tables.
            serde: the serialiser that wrote the source, where it is not LangGraph's own. Values are stored under this saver's serialiser.
            threads: see `copy_to`, also for what follows.
            filter: see `copy_to`.
            since: see `copy_to`; here by the time in the ids of checkpoints.
            newest: see `copy_to`.
            on_conflict: see `copy_to`.
            mirror: see `copy_to`.
            verify: see `copy_to`; for `objects`, an official saver's store is read by that saver, which must be installed.
            progress: see `copy_to`.
            should_stop: see `copy_to`.

        Returns:
            What was imported, which threads were skipped, and which failed and why.

        Raises:
            InvalidSource: there is no saver's store; the message says what is there.
            MissingDriver: with `objects`, the official saver is not installed; nothing was stored.
            CheckpointCorrupt: with `objects`, the savers load something different.
            InvalidConfig: the source is one of ours (use `copy_to`), or an argument has the wrong type or value.
            ThreadExists: with `refuse`, a thread is here already; nothing was stored.
            DatabaseUnavailable: a database can't be reached; run it again.
        """
        options = TransferOptions(
            choice=self._choice(threads, filter, since, newest), on_conflict=on_conflict, mirror=mirror, verify=verify
        )
        return drive(self._import_from(source, schema, serde, options, TransferCallbacks(progress, should_stop), None))

    async def aimport_from(
        self,
        source: Source,
        *,
        schema: str | None = None,
        serde: SerializerProtocol | None = None,
        threads: Sequence[Any] | None = None,
        filter: dict[str, Any] | None = None,
        since: datetime | None = None,
        newest: int | None = None,
        on_conflict: OnConflict = "skip",
        mirror: bool = False,
        verify: Verify = "digests",
        progress: Callable[[TransferReport, int], None] = ignore_progress,
        should_stop: Callable[[], bool] = never_stop,
    ) -> TransferReport:
        """See `import_from`; an asynchronous saver is read on the running event loop."""
        options = TransferOptions(
            choice=self._choice(threads, filter, since, newest), on_conflict=on_conflict, mirror=mirror, verify=verify
        )
        callbacks = TransferCallbacks(progress, should_stop)
        return await drive_async(self._import_from(source, schema, serde, options, callbacks, asyncio.get_running_loop()))

    def _import_from(
        self,
        source: Source,
        schema: str | None,
        serde: SerializerProtocol | None,
        options: TransferOptions,
        callbacks: TransferCallbacks,
        loop: asyncio.AbstractEventLoop | None,
    ) -> Steps[TransferReport]:
        # Loaded at its first use, like all that copies threads: most processes never do.
        from ckptstore.langgraph.imports.importing import import_threads

        require_functions(**callbacks._asdict())
        return import_threads(
            source,
            self.store,
            options,
            schema=schema,
            serde=serde,
            target_serde=self.serde,
            clock=self._now,
            callbacks=callbacks,
            loop=loop,
        )
