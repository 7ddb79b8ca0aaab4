"""Which tags this process has sent: PostgreSQL looks for new ones among the last of a checkpoint first."""

from __future__ import annotations

from collections.abc import Collection, Set

from ckptstore.records import Posting

_MOST_KNOWN = 10_000
_known: set[Posting] = set()


def in_order(postings: Set[Posting]) -> Collection[Posting]:
    """The tags of a checkpoint, last those that this process has not sent yet, as far as it knows."""
    new = postings - _known
    if not new:
        return postings
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known.update(new)
    return [*(postings - new), *new]
