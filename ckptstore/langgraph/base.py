"""Base class of the parts of `SQLAlchemySaver`: the store, the clock and the indexed metadata keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from ckptstore.db.times import to_microseconds
from ckptstore.langgraph.encode import Encoder
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.langgraph.metadata import MetadataEncoder
from ckptstore.langgraph.one_writer import OneWriter
from ckptstore.langgraph.serialiser.reusing import reusing
from ckptstore.langgraph.trust import EncryptedOnly
from ckptstore.store.store import Store
from ckptstore.tags.filters import Filter
from ckptstore.tags.keys import TagKeys
from ckptstore.values.size_limits import SizeChecker


def utc_now() -> datetime:
    """The current time in UTC: the default clock."""
    return datetime.now(UTC)


class SaverBase(BaseCheckpointSaver[str]):
    """Attributes that the saver's constructor sets and that its parts use.

    Each operation is written once, as a generator of futures with a leading underscore (`_prune`); a pair of methods runs it:
    `prune` in the calling thread, `aprune` in an event loop.
    """

    #: Every operation on the database and the blobs.
    store: Store
    #: Gives the time of each write, an aware `datetime`.
    clock: Callable[[], datetime]
    #: The metadata keys that filters can use.
    tag_keys: TagKeys
    #: Makes records of what is put.
    encoder: Encoder
    _serde: SerializerProtocol = BaseCheckpointSaver.serde
    _reading_serde: SerializerProtocol
    _metadata: MetadataEncoder
    _limiter: SizeChecker
    _one_writer: OneWriter | None
    _allow_plain: bool
    _reuse: bool

    @property
    def serde(self) -> SerializerProtocol:
        """The serialiser. LangGraph clones savers and gives the clones other ones."""
        return self._serde

    @serde.setter
    def serde(self, serde: SerializerProtocol) -> None:
        self._serde = serde
        own = reusing(serde) if self._reuse else serde
        self.encoder = Encoder(own, self._metadata, self._limiter)
        self._reading_serde = EncryptedOnly(serde) if isinstance(serde, EncryptedSerializer) and not self._allow_plain else own

    def _parse_filter(self, wanted: Mapping[str, Any] | None) -> Filter:
        """A metadata filter, checked against the keys that are indexed."""
        return Filter.parse(wanted, self.tag_keys, unindexed_when_empty=LANGGRAPH.unindexed_when_empty)

    def _now(self) -> int:
        """The clock's time in microseconds since 1970, UTC."""
        return to_microseconds(self.clock())
