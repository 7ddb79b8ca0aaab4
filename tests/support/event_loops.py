"""An event loop with the limits of Windows' default one."""

from __future__ import annotations

import asyncio


class WithoutSockets(asyncio.SelectorEventLoop):
    """Does not support what a ProactorEventLoop does not; its own transports work."""

    add_reader = asyncio.AbstractEventLoop.add_reader
    remove_reader = asyncio.AbstractEventLoop.remove_reader
    add_writer = asyncio.AbstractEventLoop.add_writer
    remove_writer = asyncio.AbstractEventLoop.remove_writer
