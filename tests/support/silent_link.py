"""A TCP proxy before a server whose connections can fall silent: that of `make faults`."""

from benchmarks.faults.faulty_link import FaultyLink as SilentLink
from benchmarks.faults.faulty_link import faulty_link as silent_link

__all__ = ["SilentLink", "silent_link"]
