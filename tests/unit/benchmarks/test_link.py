"""A link that delays what goes through it."""

from __future__ import annotations

import asyncio
import time

from benchmarks.link import address_of, slow_link, through


async def test_a_link_delays_both_directions_and_keeps_the_order() -> None:
    heard = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            heard.append(line)
            writer.write(line)
        # Only once the other side has said that it is done: the link has to hand on that one direction has ended.
        writer.write(b"the end\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server, slow_link(server.sockets[0].getsockname(), 0.05) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        started = time.monotonic()
        writer.write(b"0\n")
        assert await reader.readline() == b"0\n"
        assert time.monotonic() - started >= 0.1
        sent = [b"%d\n" % number for number in range(1, 5_000)]
        for line in sent:
            writer.write(line)
            await writer.drain()
        writer.write_eof()
        assert (await reader.read()).splitlines(keepends=True) == [*sent, b"the end\n"]
        assert heard == [b"0\n", *sent]
        writer.close()


def test_a_link_takes_the_place_of_a_server_in_its_url() -> None:
    on_socket, on_tcp = "postgresql://postgres:@/bench?host=/tmp/server&application_name=a", "postgresql://me:secret@db:6543/bench"
    assert address_of(on_socket) == "/tmp/server/.s.PGSQL.5432"
    assert address_of(on_tcp) == ("db", 6543)
    assert through(on_socket, 7000) == "postgresql://postgres:@127.0.0.1:7000/bench?application_name=a"
    assert through(on_tcp, 7000) == "postgresql://me:secret@127.0.0.1:7000/bench"
