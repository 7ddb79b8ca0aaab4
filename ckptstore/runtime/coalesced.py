"""One call for many requests: the first request makes it, and those that come before it begins are served by it too."""

from __future__ import annotations

from collections.abc import Callable


class CoalescedCall:
    """Counts the calls that have begun and those that were requested, without a lock, so that a request may be interrupted anywhere.

    An interrupted request may cause one call too many, or leave the call to the next request. A request is never lost because another
    one was interrupted.
    """

    __slots__ = ("_requested", "begun")

    def __init__(self) -> None:
        #: How many have begun. A call adds one before it looks at what there is to do; only one thread makes calls.
        self.begun = 0
        #: At most one more than the calls that have begun: then another one is to come.
        self._requested = 0

    def request(self, call: Callable[[], object]) -> None:
        """Make the call, unless one that was requested has yet to begin; from any thread.

        Args:
            call: causes another thread to raise `begun`, and then to look at what there is to do.
        """
        begun = self.begun
        if self._requested <= begun:
            call()
            # Not before the call: it may never be made. If the call has begun already, this has no effect.
            self._requested = begun + 1

    def promise(self) -> None:
        """Note that another call will begin without a request. From the thread that makes the calls."""
        self._requested = self.begun + 1
