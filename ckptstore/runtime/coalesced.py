"""One call for many requests: the first request makes it, and those that come before it begins are served by it too."""

from __future__ import annotations

from collections.abc import Callable


class CoalescedCall:
    """Counts the calls that have begun and those that were requested; without a lock, so that a request may be interrupted anywhere.

    An interrupted request may cause one call too many, or leave the call to the next request. A request is never lost because another
    one was interrupted.
    """

    __slots__ = ("_begun", "_requested")

    def __init__(self) -> None:
        self._begun = 0
        #: At most one more than the calls that have begun: then another one is to come.
        self._requested = 0

    def request(self, call: Callable[[], object]) -> None:
        """Make the call, unless one that was requested has yet to begin; from any thread.

        Args:
            call: causes another thread to call `begin`, and then to look at what there is to do.
        """
        begun = self._begun
        if self._requested <= begun:
            call()
            # Not before the call: it may never be made. If the call has begun already, this has no effect.
            self._requested = begun + 1

    def begin(self) -> None:
        """Note that a call begins: requests from here on make another one. From one thread only."""
        self._begun += 1

    def promise(self) -> None:
        """Note that another call will begin without a request. From the thread that calls `begin`."""
        self._requested = self._begun + 1
