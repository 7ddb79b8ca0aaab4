"""Reading a SQLite file in which one bit was flipped."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import CheckpointTuple

from ckptstore import SQLAlchemySaver
from ckptstore.errors import CkptStoreError
from tests.support.build import config

#: Checkpoints by thread and id.
Contents = dict[tuple[str, str], CheckpointTuple]


def key_of(found: CheckpointTuple) -> tuple[str, str]:
    return found.config["configurable"]["thread_id"], found.checkpoint["id"]


def contents(saver: SQLAlchemySaver) -> Contents:
    return {key_of(found): found for found in saver.list(None)}


def flipped(file: Path, count: int, seed: int, target: Path) -> Iterator[int]:
    """Copy a file `count` times, each time with another bit flipped; yields the bit, evenly spread over the file."""
    chosen = random.Random(seed)
    bits = file.stat().st_size * 8
    for number in range(count):
        bit = bits * number // count + chosen.randrange(max(bits // count, 1))
        # A new file each time: a connection to the last one may still be open.
        for suffix in ("", "-wal", "-shm"):
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(file, target)
        with target.open("r+b") as opened:
            opened.seek(bit // 8)
            (byte,) = opened.read(1)
            opened.seek(bit // 8)
            opened.write(bytes([byte ^ 1 << bit % 8]))
        yield bit


def outcome(read: Callable[[], list[CheckpointTuple]], before: Contents, expected: int) -> str:
    """What a read gave: `right`, `refused` with an error of ckptstore, `missing` something, `wrong`, or another error's name."""
    try:
        found = read()
    except CkptStoreError:
        return "refused"
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"
    results = {_compare(each, before.get(key_of(each))) for each in found}
    if "wrong" in results:
        return "wrong"
    return "missing" if "missing" in results or len(found) < expected else "right"


def _compare(found: CheckpointTuple, before: CheckpointTuple | None) -> str:
    if before is None or (found.checkpoint, found.metadata, found.config) != (before.checkpoint, before.metadata, before.config):
        return "wrong"
    if found.parent_config not in (before.parent_config, None):
        return "wrong"
    writes, all_writes = found.pending_writes or [], before.pending_writes or []
    if any(write not in all_writes for write in writes):
        return "wrong"
    return "right" if (found.parent_config, writes) == (before.parent_config, all_writes) else "missing"


def outcomes_of(file: Path, before: Contents, newest: dict[str, str]) -> Counter[str]:
    """How the reads of a file end, and `unreported` for each that was not right while a verification found nothing."""
    found: Counter[str] = Counter()
    with SQLAlchemySaver.from_conn_string(str(file)) as saver:
        results = [_newest(saver, thread_id, before, newest) for thread_id in newest]
        results.append(outcome(lambda: list(saver.list(None)), before, len(before)))
        found.update(results)
        if set(results) != {"right"} and _is_ok(saver):
            found["unreported"] += 1
    return found


def _newest(saver: SQLAlchemySaver, thread_id: str, before: Contents, newest: dict[str, str]) -> str:
    def read() -> list[CheckpointTuple]:
        found: Any = saver.get_tuple(config(thread_id))
        return [] if found is None or found.checkpoint["id"] < newest[thread_id] else [found]

    return outcome(read, before, 1)


def _is_ok(saver: SQLAlchemySaver) -> bool:
    try:
        return saver.verify(deep=True).ok
    except CkptStoreError:
        return False
