"""Making one new value of 5 MB durable: beside plain Python that hashes and writes a file, and in requests to S3.

The plain file is what the disk and SHA-256 alone cost: `hashlib.sha256`, open, write, flush, fsync, close, in the folder of ckptstore's
own database.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.contenders import CKPTSTORE_SQLITE, Contender
from benchmarks.databases import SqliteFile
from benchmarks.report import Table
from benchmarks.servers import CountedS3, s3_server
from benchmarks.workload import HandMade
from ckptstore import SQLAlchemySaver

VALUE_BYTES = 5_000_000
PLAIN = "plain file"
REQUESTS = ("PUT", "POST", "HEAD", "LIST", "GET", "DELETE")


def write_plainly(folder: Path, data: bytes) -> None:
    """Hash and write a file, durably."""
    with (folder / hashlib.sha256(data).hexdigest()).open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def plain_lap(folder: Path, values: int, size: int) -> float:
    """MB/s of plain files; they are removed at the end of the lap."""
    target = folder / "plain"
    target.mkdir()
    seconds = 0.0
    for _ in range(values):
        data = os.urandom(size)
        started = time.perf_counter()
        write_plainly(target, data)
        seconds += time.perf_counter() - started
    for path in target.iterdir():
        path.unlink()
    target.rmdir()
    return values * size / seconds / 1e6


async def put_lap(contender: Contender, values: int, size: int) -> float:
    """MB/s of `aput`, each with a value that was never seen before, on a thread of its own."""
    seconds = 0.0
    for number in range(values):
        made = HandMade(contender.saver, f"store-{time.monotonic_ns()}-{number}")
        data = os.urandom(size)
        started = time.perf_counter()
        await made.put(value=data)
        seconds += time.perf_counter() - started
    return values * size / seconds / 1e6


async def speeds(bench: Bench) -> Table:
    """MB/s; the plain file takes its lap right before ckptstore's on SQLite."""
    values, size = bench.size(10, 2, quick=5), bench.size(VALUE_BYTES, 200_000, quick=VALUE_BYTES)
    table = Table(f"values of {size:,} bytes", [PLAIN, *(contender.name for contender in bench.contenders)], bench.verbose)
    plain: list[float] = []

    async def lap(contender: Contender) -> float:
        if contender.name == CKPTSTORE_SQLITE:
            assert isinstance(contender.database, SqliteFile)
            plain.append(plain_lap(contender.database.folder, values, size))
        return await put_lap(contender, values, size)

    async with bench.all_open():
        for contender in bench.contenders:
            await put_lap(contender, 1, size)
        laps = await bench.interleaved(lap)
    table.add("MB/s", {PLAIN: plain, **laps}, more_is_better=True)
    percent = {name: [100 * ours / alone for ours, alone in zip(each, plain, strict=True)] for name, each in laps.items()}
    table.add("% of the plain file, lap by lap", {PLAIN: [100.0], **percent}, more_is_better=None)
    return table


async def requests(s3: CountedS3, size: int) -> dict[str, Counter[str]]:
    """What ckptstore asks of S3 for each thing in turn."""
    seen = {}
    database, blob_url = SqliteFile(), s3.bucket_url("bench")
    try:
        async with SQLAlchemySaver.from_conn_string(database.url, blob_url=blob_url) as saver:
            first, second = HandMade(saver, "first"), HandMade(saver, "second")
            data = os.urandom(size)
            await first.put(value=os.urandom(size))
            seen["storing the first value (connections too)"] = s3.take_requests()
            await second.put(value=data)
            seen["storing another value"] = s3.take_requests()
            await second.put(count=1)
            seen["a put that leaves it unchanged"] = s3.take_requests()
            await HandMade(saver, "third").put(value=data)
            seen["the same value on another thread"] = s3.take_requests()
        async with SQLAlchemySaver.from_conn_string(database.url, blob_url=blob_url) as saver:
            loaded = await saver.aget_tuple(second.config)
            assert loaded is not None
            assert loaded.checkpoint["channel_values"]["value"] == data
            seen["reading it with a new saver"] = s3.take_requests()
    finally:
        await database.remove()
    return seen


async def run(bench: Bench) -> list[Table]:
    """Speed on this disk, then requests to an S3 on this machine."""
    speed = await speeds(bench)
    table = Table("requests to S3 (moto, over HTTP), ckptstore SQLite", REQUESTS)
    try:
        with s3_server(CountedS3, "bench") as s3:
            seen = await requests(s3, bench.size(VALUE_BYTES, 200_000))
    except ImportError as exc:
        table.note(f"not measured: {exc}")
        return [speed, table]
    for what, counts in seen.items():
        table.add(what, {kind: [counts.get(kind, 0)] for kind in REQUESTS}, more_is_better=None)
    if not any(map(sum, (counts.values() for counts in seen.values()))):
        table.note("no request at all: the values did not go to S3")
    return [speed, table]
