"""An event loop as Windows' default one."""

from __future__ import annotations

import asyncio


class WithoutSockets(asyncio.SelectorEventLoop):
    """Refuses what a ProactorEventLoop refuses; its own transports work as before."""

    add_reader = asyncio.AbstractEventLoop.add_reader
    remove_reader = asyncio.AbstractEventLoop.remove_reader
    add_writer = asyncio.AbstractEventLoop.add_writer
    remove_writer = asyncio.AbstractEventLoop.remove_writer
