"""The beginnings of long lists that were written before: a list that only grew is compared with them, some dozens of elements at a time.

Looking for each of its elements takes twice as long, because each has to be hashed. What is compared is the whole content, as `writing`
explains.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

#: Elements that are compared at a time. What `marshal` writes of more takes memory that the system has to provide anew each time.
GROUP = 32
# Also of lists that are only noted by name.
_MAX_LISTS = 256


class Group(NamedTuple):
    """Some successive elements of a list."""

    #: What `marshal` writes of them, one after the other.
    content: bytes
    #: Their serialised bytes, one after the other.
    data: bytes


class KnownPrefixes:
    """Remembers the beginnings of lists. Lists that begin with the same few elements count as one.

    Worker threads share it: each change is one operation.

    Args:
        max_bytes: of memory.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._known: OrderedDict[bytes, Sequence[Group]] = OrderedDict()

    def find(self, name: bytes) -> Sequence[Group]:
        """What is known of the list that begins with these elements (as `marshal` writes them)."""
        return self._known.get(name, ())

    def add(self, name: bytes, begins: Sequence[Group], contents: Sequence[bytes], parts: Sequence[bytes]) -> None:
        """Remember a list, from the second time on: one that slides begins with other elements each time.

        Args:
            name: as for `find`.
            begins: those groups with which it begins.
            contents: what `marshal` writes of each of the elements after them.
            parts: the serialised bytes of each.
        """
        if name not in self._known:
            self._known[name] = ()
        elif len(contents) >= GROUP:
            ends = range(GROUP, len(contents) + 1, GROUP)
            more = [Group(b"".join(contents[end - GROUP : end]), b"".join(parts[end - GROUP : end])) for end in ends]
            self._known[name] = (*begins, *more)
        # Another thread may have dropped it.
        with suppress(KeyError):
            self._known.move_to_end(name)
            while len(self._known) > _MAX_LISTS or self.size_bytes > self._max_bytes:
                self._known.popitem(last=False)

    @property
    def size_bytes(self) -> int:
        """Bytes of everything that is kept."""
        return sum([len(group.content) + len(group.data) for groups in [*self._known.values()] for group in groups])
