"""Compress segments where that makes them smaller; decompress and check them.

Small values consist mostly of field names, which are nearly always the same. They are compressed with a dictionary: the file
`messages.zdict` holds what LangGraph's serialiser makes of LangChain's messages with next to no content (a raw-content dictionary for
zstd). It is part of the file format: it never changes, and a better one would be added under another encoding's name.
"""

from __future__ import annotations

from collections import deque
from importlib import resources

import zstandard

from ckptstore.errors import BlobCorrupt
from ckptstore.values import base64_text
from ckptstore.values.digests import compact_digest_of, matches_digest

#: Compressing less gains next to nothing.
SMALL_BYTES = 128
# Up to this size, zstd gets small tables: its own are cold each time, as SQLite's pages go through the caches between two values.
_MAX_MESSAGE_BYTES = 4 * 1024
_MESSAGE_HASH_LOG = 11
# Up to this size a dictionary helps, and compressing costs less than testing a sample.
_MAX_DICTIONARY_BYTES = 64 * 1024
_SAMPLE_BYTES = 16 * 1024
# A segment is stored compressed only if that saves a tenth.
_MAX_RATIO = 0.9
_ZSTD_LEVEL = 3
# As many threads rarely compress at the same time.
_MAX_IDLE = 16
# From the package, which may be in a zip archive.
_MESSAGES = resources.files("ckptstore.values").joinpath("messages.zdict").read_bytes()


class _Zstd:
    """Compressors for one thread at a time. Creating them costs many times what using them does."""

    def __init__(self) -> None:
        messages = zstandard.ZstdCompressionDict(_MESSAGES, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        small_tables = zstandard.ZstdCompressionParameters.from_level(
            1, source_size=_MAX_MESSAGE_BYTES, dict_size=len(_MESSAGES), hash_log=_MESSAGE_HASH_LOG, write_content_size=True
        )
        # A dictionary for these parameters only: it holds what zstd computes from both in advance.
        for_messages = zstandard.ZstdCompressionDict(_MESSAGES, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        for_messages.precompute_compress(compression_params=small_tables)
        self.compress_message = zstandard.ZstdCompressor(compression_params=small_tables, dict_data=for_messages).compress
        self.compress = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress
        self.compress_small = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, dict_data=messages).compress
        self.compress_sample = zstandard.ZstdCompressor(level=1).compress
        self.decompress = {
            "zstd": zstandard.ZstdDecompressor().decompress,
            "zstd-messages": zstandard.ZstdDecompressor(dict_data=messages).decompress,
        }


# Shared by all worker threads: LangGraph's synchronous loop runs each call of a graph on new ones. An interrupted caller loses one.
_idle: deque[_Zstd] = deque(maxlen=_MAX_IDLE)


def _borrowed() -> _Zstd:
    try:
        return _idle.pop()
    except IndexError:
        return _Zstd()


def compress(data: bytes | memoryview) -> tuple[str, bytes | memoryview]:
    """Compress a segment.

    Returns:
        The encoding (`raw`, `zstd`, `zstd-messages`, or `base64` for a text in base64, of which the bytes are stored that it stands for)
        and the bytes to store: the data itself where compression does not pay.
    """
    if len(data) < SMALL_BYTES:
        return "raw", data
    zstd = _borrowed()
    if (content := base64_text.decoded(data)) is not None and not _is_compressible(zstd, content):
        # An image or a PDF: shorter than any compressor makes its text.
        _idle.append(zstd)
        return "base64", content
    if len(data) <= _MAX_MESSAGE_BYTES:
        encoding, compressed = "zstd-messages", zstd.compress_message(data)
    elif len(data) <= _MAX_DICTIONARY_BYTES:
        encoding, compressed = "zstd-messages", zstd.compress_small(data)
    elif _is_compressible(zstd, data):
        encoding, compressed = "zstd", zstd.compress(data)
    else:
        _idle.append(zstd)
        return "raw", data
    _idle.append(zstd)
    return (encoding, compressed) if len(compressed) < len(data) * _MAX_RATIO else ("raw", data)


def _is_compressible(zstd: _Zstd, data: bytes | memoryview) -> bool:
    """Whether a sample from the middle of large data becomes smaller."""
    middle = len(data) // 2
    sample = data[middle : middle + _SAMPLE_BYTES]
    return len(zstd.compress_sample(sample)) < len(sample) * _MAX_RATIO


def decompress_segment(digest: str, size: int, encoding: str, data: bytes) -> bytes:
    """Decompress a segment and check it.

    Args:
        digest: its digest.
        size: bytes of its content.
        encoding: as returned by `compress`, or `list`.
        data: the stored bytes.

    Raises:
        BlobCorrupt: the content does not have this size and digest.
    """
    if not isinstance(data, bytes) or not isinstance(size, int):
        # On SQLite a cell may have turned into another type.
        raise BlobCorrupt(f"segment {digest}: its row was altered")
    if encoding == "base64":
        data = base64_text.restored(f"segment {digest}", size, data)
    elif encoding not in ("raw", "list"):
        data = decompress(f"segment {digest}", size, encoding, data)
    if len(data) != size or not matches_digest(digest, data):
        raise BlobCorrupt(f"segment {digest}: {len(data)} bytes hash to {compact_digest_of(data)}, expected {size} bytes")
    return data


def decompress(name: str, size: int, encoding: str, data: bytes) -> bytes:
    """Decompress bytes to their known size.

    Raises:
        BlobCorrupt: they can't be decompressed to `size` bytes; the message starts with `name`.
    """
    try:
        # A frame that declares another size was altered, or is a decompression bomb: it is refused before memory is allocated for it.
        declared = zstandard.get_frame_parameters(data).content_size
        if declared not in (size, zstandard.CONTENTSIZE_UNKNOWN):
            raise BlobCorrupt(f"{name}: its {len(data)} bytes claim to be {declared} when decompressed, expected {size}")
        zstd = _borrowed()
        content = zstd.decompress[encoding](data, max_output_size=size)
        _idle.append(zstd)
    except (zstandard.ZstdError, MemoryError, KeyError, OverflowError) as exc:
        raise BlobCorrupt(f"{name}: its {len(data)} bytes can't be decompressed as {encoding} ({exc})") from exc
    return content
