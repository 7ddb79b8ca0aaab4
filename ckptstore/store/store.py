"""The store: every operation on checkpoints, for LangGraph's saver and for the command line.

An operation is written once, as a generator of futures (see `ckptstore.runtime.steps`). `base.py` runs work, `reading.py` loads
checkpoints, `upkeep.py` deletes and maintains.
"""

from __future__ import annotations

from ckptstore.store.reading import StoreReading
from ckptstore.store.upkeep import StoreUpkeep


class Store(StoreReading, StoreUpkeep):
    """One database and its blobs: reads run in parallel, writes go through one queue. The constructor is `StoreBase`'s."""
