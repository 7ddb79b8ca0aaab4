"""The metadata of a put: what LangGraph passes, with the metadata of the caller's config, and without credentials.

LangGraph's helper (`get_serializable_checkpoint_metadata`) merges only scalars of the config, and drops the key `writes`. Here what a
caller passes in `config["metadata"]` is kept if it is JSON: lists, dicts, None, and whatever key it has.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import EXCLUDED_METADATA_KEYS

from ckptstore.errors import InvalidConfig
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.records import CheckpointKey, Posting
from ckptstore.runtime.logged_names import LoggedNames
from ckptstore.tags.encoding import postings
from ckptstore.tags.keys import TagKeys
from ckptstore.tags.metadata_json import Cleaner, NotJson, shown
from ckptstore.values.metadata_limits import MetadataChecker
from ckptstore.values.size_limits import SizeLimits

logger = logging.getLogger(__name__)

_SCALARS = (str, int, float, bool)
_WRITES = "writes"
# Under these names, LangGraph and LangChain pass lists and dicts to each other: not a caller's metadata.
_INTERNAL_PREFIXES = ("langgraph_", "lc_versions")
# LangGraph's server describes the authenticated user by these names, for example `langgraph_auth_user_id`: they are no credentials.
_IDENTITY = "langgraph_auth_"


class StoredMetadata(NamedTuple):
    """The metadata of one checkpoint, as it is stored."""

    #: JSON.
    text: str
    postings: frozenset[Posting]


class MetadataEncoder:
    """Makes the metadata of puts.

    Args:
        tag_keys: which keys become tags, and what is a credential.
        limits: how much metadata a checkpoint may have.
    """

    def __init__(self, tag_keys: TagKeys, limits: SizeLimits) -> None:
        self._tag_keys = tag_keys
        self._max_bytes = limits.max_metadata_bytes
        self._checker = MetadataChecker(limits)
        self._logged = LoggedNames()

    def encode(self, key: CheckpointKey, config: RunnableConfig, metadata: Mapping[str, Any]) -> StoredMetadata:
        """The metadata of a put of the checkpoint with this key.

        Raises:
            InvalidConfig: the metadata, or the config's, is not a dict.
            SerializationFailed: the metadata is not JSON; the message names the key.
            CheckpointTooLarge: it exceeds a limit.
        """
        given = config.get("metadata") or {}
        # `type` first, because `isinstance` with an abstract class is a call in Python.
        if not (type(metadata) is dict or isinstance(metadata, Mapping)) or not (type(given) is dict or isinstance(given, Mapping)):
            wrong, name = (metadata, "the metadata") if not isinstance(metadata, Mapping) else (given, "config['metadata']")
            raise InvalidConfig(f"{name} must be a dict, got {type(wrong).__name__}")
        merged = dict(metadata)
        if _WRITES in merged and not self._is_json(_WRITES, merged[_WRITES]):
            # Earlier releases of LangGraph passed what the nodes returned.
            del merged[_WRITES]
        if given:
            self._merge_metadata(merged, given)
        self._merge_configurable(merged, config.get("configurable") or {}, metadata)
        text, values = self._checker.encode(key.thread_id, merged)
        found = postings(values, self._tag_keys, LANGGRAPH.unindexed_when_empty)
        self._checker.check_tags(key, found)
        return StoredMetadata(text, found)

    def _merge_metadata(self, merged: dict[str, Any], given: Mapping[Any, Any]) -> None:
        """Add the config's metadata, whatever its keys."""
        for key, value in given.items():
            if key in merged or key in EXCLUDED_METADATA_KEYS:
                continue
            if isinstance(key, str) and key.startswith("__"):
                continue
            if isinstance(value, _SCALARS) or self._is_callers_json(key, value):
                merged[key] = value

    def _merge_configurable(self, merged: dict[str, Any], configurable: Mapping[Any, Any], metadata: Mapping[str, Any]) -> None:
        """Add the scalars of the configurable, as LangGraph does, and remove its credentials.

        They are removed from the config's metadata too, because LangChain copies some there, but not from LangGraph's own.
        """
        for name, value in configurable.items():
            if name in metadata or name in EXCLUDED_METADATA_KEYS or not isinstance(name, str) or name.startswith("__"):
                continue
            known = merged.get(name, value)
            if isinstance(known, str) and not name.startswith(_IDENTITY) and self._tag_keys.is_credential(name, known):
                merged.pop(name, None)
                self._log("credential_left_out", name, "looks like a credential, and metadata is plain text")
            elif name not in merged and isinstance(value, _SCALARS):
                merged[name] = value

    def _is_callers_json(self, key: Any, value: Any) -> bool:
        is_internal = isinstance(key, str) and key.startswith(_INTERNAL_PREFIXES)
        return not is_internal and self._is_json(key, value)

    def _is_json(self, key: Any, value: Any) -> bool:
        try:
            Cleaner(self._max_bytes).clean(value)
        except OverflowError:
            # It is refused together with the rest.
            return True
        except NotJson as exc:
            self._log("metadata_left_out", key if isinstance(key, str) else type(key).__name__, str(exc))
            return False
        return True

    def _log(self, event: str, name: str, reason: str) -> None:
        if self._logged.is_first(name):
            logger.warning("%s is left out of the metadata: it %s", shown(name), reason, extra={"event": event, "key": name})
