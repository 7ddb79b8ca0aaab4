"""How values are shared and compressed, measured on some of the threads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db

_MAX_THREADS = 500
_MAX_CHECKPOINTS = 20_000


class ChannelSize(NamedTuple):
    """The values of one channel in the threads of a sample."""

    channel: str
    values: int
    #: As serialised: before anything is shared or compressed.
    serialised_bytes: int
    largest_bytes: int


class Sample(NamedTuple):
    """Some threads, and what they hold. Bytes are of payloads, without the databases' own overhead."""

    threads: int
    #: Whether that is all of them.
    is_everything: bool
    #: Hidden ones too.
    checkpoints: int
    writes: int
    #: Of values and writes, before anything is shared or compressed.
    serialised_bytes: int
    #: Of values and writes, in rows, and in objects that the sample's threads refer to.
    stored_bytes: int
    #: How often the bytes of a segment are used: by values and writes, for each time that they are stored.
    shared: float | None
    #: How much smaller segments in rows are than their content.
    compressed: float | None
    #: Of checkpoints without the values of their channels, with their metadata.
    checkpoint_bytes: int
    #: By their bytes, the largest first.
    channels: Sequence[ChannelSize]

    @property
    def ratio(self) -> float | None:
        """How much smaller values and writes are than what was serialised; None if there are none."""
        return self.serialised_bytes / self.stored_bytes if self.stored_bytes else None


class _Values(NamedTuple):
    """A row of `values_of_threads`."""

    channel: str
    values: int
    serialised: int
    largest: int
    in_rows: int
    in_segments: int


class _Segments(NamedTuple):
    """A row of `segments_of_threads`."""

    encoding: str
    in_object: bool
    segments: int
    content: int
    in_rows: int


def read_sample(db: Db, threads: int, largest: int, *, full: bool) -> Sample:
    """Measure some of the threads, evenly among their ids.

    Args:
        db: within a snapshot.
        threads: how many there are.
        largest: how many channels are returned.
        full: measure all threads.
    """
    chosen = _chosen(db, threads, full=full)
    listed: dict[str, Any] = {"threads": json.dumps(chosen) if db.on_sqlite else chosen}
    values = [_Values(*row) for row in db.run(sql.stats.values_of_threads, listed)]
    writes, written, in_rows, in_segments = db.run(sql.stats.writes_of_threads, listed).found[0]
    segments = [_Segments(*row) for row in db.run(sql.stats.segments_of_threads, listed)]
    checkpoints, bodies, texts = db.run(sql.stats.bodies_of_threads, listed).found[0]
    parts = [each for each in segments if each.encoding != "list"]
    local = [each for each in parts if not each.in_object]
    in_objects = db.run(sql.stats.objects_of_threads, listed).scalar_one()
    return Sample(
        threads=len(chosen),
        is_everything=len(chosen) == threads,
        checkpoints=checkpoints,
        writes=writes,
        serialised_bytes=written + sum(each.serialised for each in values),
        stored_bytes=in_rows + in_objects + sum(each.in_rows for each in values) + sum(each.in_rows for each in segments),
        shared=_ratio(in_segments + sum(each.in_segments for each in values), sum(each.content for each in parts)),
        compressed=_ratio(sum(each.content for each in local), sum(each.in_rows for each in local)),
        checkpoint_bytes=bodies + texts,
        channels=_largest(values, largest),
    )


def _chosen(db: Db, threads: int, *, full: bool) -> list[str]:
    """The ids of the threads of a sample: as many as are measured in bounded time, one at least."""
    every = 1 if full else max(1, -(-threads // _MAX_THREADS))
    found = db.run(sql.stats.every_nth_thread, {"every": every, "page_size": threads}).all()
    chosen: list[str] = []
    checkpoints = 0
    for thread_id, count, _ in found:
        if full or not chosen or checkpoints + count <= _MAX_CHECKPOINTS:
            chosen.append(thread_id)
            checkpoints += count
    return chosen


def _largest(values: Sequence[_Values], count: int) -> list[ChannelSize]:
    channels = [ChannelSize(each.channel, each.values, each.serialised, each.largest) for each in values]
    return sorted(channels, key=lambda channel: (-channel.serialised_bytes, channel.channel))[:count]


def _ratio(of: int, to: int) -> float | None:
    return of / to if to else None
