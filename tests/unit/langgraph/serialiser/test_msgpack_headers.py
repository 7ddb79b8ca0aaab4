"""Headers of msgpack are those that msgpack writes."""

from __future__ import annotations

import msgpack
import pytest

from ckptstore.langgraph.serialiser.msgpack_headers import (
    array_header,
    extension,
    is_extension,
    map_header,
    read_array_header,
    read_extension,
    read_extensions,
    read_map_header,
)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536])
def test_headers_of_every_length(count: int) -> None:
    packer = msgpack.Packer()
    for header, read, wanted in (
        (array_header(count), read_array_header, packer.pack_array_header(count)),
        (map_header(count), read_map_header, packer.pack_map_header(count)),
    ):
        assert header == wanted
        assert read(b"x" + header, 1) == (count, len(header) + 1)
    assert read_map_header(array_header(count)) is None
    assert read_array_header(map_header(count)) is None


@pytest.mark.parametrize("length", [0, 3, 255, 256, 65_535, 65_536])
def test_extensions_of_every_length(length: int) -> None:
    payloads = [bytes(length), b"abc"]
    elements = [extension(5, payload) for payload in payloads]
    assert elements == [msgpack.packb(msgpack.ExtType(5, payload)) for payload in payloads]
    data = array_header(2) + b"".join(elements)
    assert read_extensions(data, 5) == payloads
    assert is_extension(data, 1, 5) == (length not in (1, 2, 4, 8, 16))
    assert not is_extension(data, 1, 6)
    assert not is_extension(data[:3], 1, 5)
    assert read_extension(elements[0], 5) == (payloads[0] if is_extension(data, 1, 5) else None)
    assert [read_extension(other, 5) for other in (data, elements[0] + b"x", elements[0][:-1] + b"", b"")] == [None] * 4
    assert read_extension(elements[0], 6) is None
    for damaged in (data[:-1], data + b"\xc0", data.replace(b"\x05", b"\x06", 1)):
        with pytest.raises((ValueError, msgpack.UnpackException)):
            read_extensions(damaged, 5)


@pytest.mark.parametrize("other", [None, b"abc", [1], (1, 2), "text", {}])
def test_an_array_of_extensions_and_something_else_is_not_read(other: object) -> None:
    assert read_extensions(msgpack.packb([msgpack.ExtType(5, b"abc"), other]), 5) is None
