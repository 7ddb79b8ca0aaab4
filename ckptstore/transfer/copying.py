"""Copying threads between two of our own stores."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.secrets import masked
from ckptstore.db.url import is_memory
from ckptstore.errors import DatabaseUnavailable, InvalidConfig
from ckptstore.maintenance.reindex import store_keys, stored_keys
from ckptstore.records import CheckpointKey, StateFormat
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store
from ckptstore.tags.keys import EVERYTHING, TagKeys
from ckptstore.transfer.mirroring import require_whole_choice
from ckptstore.transfer.objects import ObjectTransfer
from ckptstore.transfer.options import BlobMode, TransferCallbacks, TransferOptions
from ckptstore.transfer.own_source import OwnSource
from ckptstore.transfer.report import TransferReport
from ckptstore.transfer.run import Transfer


class Copied(NamedTuple):
    """A copy that has ended."""

    report: TransferReport
    #: Some of the checkpoints that were stored.
    sample: Sequence[CheckpointKey]


def copy_store(
    source: Store,
    target: Store,
    options: TransferOptions,
    blobs: BlobMode | None,
    state_format: StateFormat,
    clock: Callable[[], int],
    callbacks: TransferCallbacks,
) -> Steps[Copied]:
    """Copy threads with everything that they have; rows are taken over as they are.

    Args:
        source: only read.
        target: where each thread appears as a whole, in one transaction.
        options: what is copied.
        blobs: see `ObjectTransfer`.
        state_format: what the checkpoints mean.
        clock: gives microseconds since 1970, UTC.
        callbacks: called while it runs.

    Raises:
        InvalidConfig: source and target are the same, or the options contradict each other.
        ThreadExists: see `Transfer.run`.
        DatabaseUnavailable: one of the two can't be reached any more; run it again, and it continues.
    """
    if options.mirror:
        require_whole_choice(options.choice)
    _refuse_inside(source, target)
    of_source = yield from source.read(partial(_identity, runner=source.runner))
    of_target = yield from target.read(partial(_identity, runner=target.runner))
    if of_source == of_target:
        raise InvalidConfig(f"source and target are the same: {masked(source.runner.url)}")
    yield from target.finish_deletions()
    tag_keys = yield from _tag_keys(source, target)
    objects = ObjectTransfer(source.objects, target.objects, blobs)
    transfer = Transfer(OwnSource(source, options.choice, tag_keys, state_format), target, objects, options, clock, callbacks)
    return Copied((yield from run_transfer(transfer, target)), transfer.sample.keys)


def run_transfer(transfer: Transfer, target: Store, close: Callable[[], None] | None = None) -> Steps[TransferReport]:
    """Run a transfer on the target's loop. If the caller gives up, it ends after the parcel that is being stored.

    Args:
        transfer: what is run.
        target: where it stores.
        close: called on a worker thread when it has ended.
    """
    try:
        with target.monitor.transfer.observed():
            report: TransferReport = yield target.objects.run(_run_and_close(transfer, close))
        return report
    except DatabaseUnavailable as exc:
        transfer.stop()
        if type(exc) is not DatabaseUnavailable:
            raise
        raise DatabaseUnavailable(f"{exc}; threads that were stored are kept, run it again to continue", transient=exc.transient) from exc
    except BaseException:
        transfer.stop()
        raise


async def _run_and_close(transfer: Transfer, close: Callable[[], None] | None) -> TransferReport:
    try:
        return await transfer.run()
    finally:
        if close is not None:
            await asyncio.to_thread(close)


def _identity(db: Db, runner: object) -> tuple[object, ...]:
    """The same for two connections to the same tables."""
    url = db.connection.engine.url
    if db.on_sqlite:
        return (id(runner),) if is_memory(url) else (os.path.realpath(str(url.database)),)
    (row,) = db.execute("SELECT current_database(), current_schema(), CAST(pg_postmaster_start_time() AS text)")
    return (row[0], db.statements.schema or row[1], row[2])


def _refuse_inside(source: Store, target: Store) -> None:
    """Refuse a SQLite file in the other's folder of blobs: its collector and its verification look there."""
    for one, other in ((source, target), (target, source)):
        blobs = one.objects.location.url or ""
        if other.runner.statements.on_sqlite and not is_memory(other.runner.url) and blobs.startswith("file://"):
            file = PurePath(os.path.realpath(str(other.runner.url.database)))
            if file.is_relative_to(Path(blobs.removeprefix("file://"))):
                raise InvalidConfig(f"the database {file} is in the folder of the other's blobs; use another path")


def _tag_keys(source: Store, target: Store) -> Steps[TagKeys]:
    """The metadata keys in the target's index. A target without a checkpoint gets the source's, unless its saver says otherwise."""
    if target.wants_tags is None and (yield from target.read(stored_keys)) is None:
        of_source = yield from source.read(stored_keys)
        if of_source is not None and not (yield from target.read(lambda db: db.run(sql.settings_table.any_checkpoint).all())):
            yield from target.run_in_queue(partial(store_keys, tag_keys=of_source))
    return (yield from target_keys(target))


def target_keys(target: Store) -> Steps[TagKeys]:
    """The metadata keys in a target's index."""
    stored = yield from target.read(stored_keys)
    return target.wants_tags or stored or EVERYTHING
