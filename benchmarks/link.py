"""A slow network: a TCP proxy in a process of its own that delivers what it reads so many milliseconds later, in each direction.

It takes no interpreter lock from those who are measured. Accepting a connection is not delayed, only what goes through it.
"""

from __future__ import annotations

import argparse
import asyncio
import selectors
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from sqlalchemy import make_url

_CHUNK_BYTES = 65_536

#: Host and port, or the path of a Unix socket.
Address = tuple[str, int] | str


def address_of(url: str) -> Address:
    """Where the server of a PostgreSQL URL listens; a `host` that is a folder holds its socket, as in libpq."""
    parsed = make_url(url)
    host = str(parsed.query.get("host", parsed.host or "localhost"))
    port = int(str(parsed.query.get("port", parsed.port or 5432)))
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)


def through(url: str, port: int) -> str:
    """The same database of a PostgreSQL URL, reached through a link on this port of this machine."""
    parsed = make_url(url).difference_update_query(["host", "port"])
    return parsed.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)


@asynccontextmanager
async def slow_link(address: Address, delay_seconds: float) -> AsyncIterator[int]:
    """Serve a link to a server, in another process.

    Args:
        address: where the server listens.
        delay_seconds: how long everything is under way, in each direction.

    Yields:
        The port of 127.0.0.1 where it listens.
    """
    target = [address] if isinstance(address, str) else [address[0], str(address[1])]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.link", str(delay_seconds), *target),
        cwd=Path(__file__).parent.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


# --- the process


async def _carry(reader: StreamReader, writer: StreamWriter, delay_seconds: float) -> None:
    """Deliver everything in its order, each chunk so long after it was read, and the end of it too. Reading never waits."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        data = b"-"
        while data:
            data = await reader.read(_CHUNK_BYTES)
            under_way.put_nowait((loop.time() + delay_seconds, data))

    async def deliver() -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                break
            writer.write(data)
            await writer.drain()
        # Only this direction has ended: the other one may have much to say yet.
        writer.write_eof()

    async with asyncio.TaskGroup() as both:
        both.create_task(read())
        both.create_task(deliver())


async def _connect(address: Address) -> tuple[StreamReader, StreamWriter]:
    if isinstance(address, str):
        return await asyncio.open_unix_connection(address)
    return await asyncio.open_connection(*address)


async def _join(address: Address, delay_seconds: float, reader: StreamReader, writer: StreamWriter) -> None:
    """One connection, until both directions have ended or one of them has broken. Asyncio itself sets TCP_NODELAY on both sides."""
    try:
        server_reader, server_writer = await _connect(address)
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(_carry(reader, server_writer, delay_seconds))
                directions.create_task(_carry(server_reader, writer, delay_seconds))
        finally:
            server_writer.close()
    except* OSError:
        pass
    finally:
        writer.close()


async def _serve(address: Address, delay_seconds: float) -> None:
    """Listen, tell the port, and go on until standard input ends, as it does when whoever started this is gone."""
    async with await asyncio.start_server(partial(_join, address, delay_seconds), "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


def _precise_loop() -> asyncio.AbstractEventLoop:
    # select() waits for microseconds; epoll rounds every timer up to whole milliseconds, as long as the delay itself.
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def main() -> None:
    """The process's command line: seconds, then host and port or a socket's path."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.link")
    parser.add_argument("delay_seconds", type=float)
    parser.add_argument("host")
    parser.add_argument("port", type=int, nargs="?")
    options = parser.parse_args()
    address = options.host if options.port is None else (options.host, options.port)
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_precise_loop) as runner:
        runner.run(_serve(address, options.delay_seconds))


if __name__ == "__main__":
    main()
