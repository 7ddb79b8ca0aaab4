"""Checksums of rows: a row that a disk, a file system or a stray statement has altered is noticed when it is read.

A checksum covers the row's payload and the columns of its key: a row whose key was altered would be read as another one. The thread id
is combined into it last, so that a copy of a thread needs no payload to have the right checksums, see `copy_mask`. Segments need none:
their names are digests of their content. CRC-32 notices every altered bit, and not an attacker, who can compute it too.
"""

from __future__ import annotations

from zlib import crc32

#: Combined with the checksum of a hidden checkpoint. Part of the file format, like the checksums themselves.
HIDDEN = crc32(b"hidden")


def checkpoint_checksum(
    key: tuple[str, str, str],
    parent_checkpoint_id: str | None,
    format_: int,
    type_: str,
    body: bytes,
    channel_versions: str,
    metadata: str,
    value_count: int | None,
) -> int:
    """The checksum of the row of a visible checkpoint, of which it covers everything except the time and the size.

    `key` is the row's primary key, here and below.
    """
    thread_id, checkpoint_ns, checkpoint_id = key
    head = f"{checkpoint_ns}\0{checkpoint_id}\0{parent_checkpoint_id}\0{format_}\0{type_}\0{channel_versions}\0{metadata}\0{value_count}\0"
    return crc32(body, crc32(head.encode("utf-8", "surrogatepass"))) ^ crc32(thread_id.encode("utf-8", "surrogatepass"))


def channel_checksum(key: tuple[str, str, str, str], type_: str, size: int, value: bytes | None, layout: str | None) -> int:
    """The checksum of the row of a channel's value, of which it covers every column."""
    thread_id, checkpoint_ns, channel, version = key
    head = f"{checkpoint_ns}\0{channel}\0{version}\0{type_}\0{size}\0{layout}\0"
    return crc32(value or b"", crc32(head.encode("utf-8", "surrogatepass"))) ^ crc32(thread_id.encode("utf-8", "surrogatepass"))


def write_checksum(
    key: tuple[str, str, str, str, int], task_path: str, channel: str, type_: str, size: int, value: bytes | None, layout: str | None
) -> int:
    """The checksum of the row of a task's write, of which it covers everything except the time."""
    thread_id, checkpoint_ns, checkpoint_id, task_id, idx = key
    head = f"{checkpoint_ns}\0{checkpoint_id}\0{task_id}\0{idx}\0{task_path}\0{channel}\0{type_}\0{size}\0{layout}\0"
    return crc32(value or b"", crc32(head.encode("utf-8", "surrogatepass"))) ^ crc32(thread_id.encode("utf-8", "surrogatepass"))


def copy_mask(source: str, target: str) -> int:
    """What an exclusive or with the checksum of a row of thread `source` makes that of its copy in thread `target`."""
    return crc32(source.encode("utf-8", "surrogatepass")) ^ crc32(target.encode("utf-8", "surrogatepass"))
