"""Verification of the tag index: every checkpoint has the tags that its metadata gives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import Row
from ckptstore.errors import CheckpointCorrupt, TagKeysChanged
from ckptstore.maintenance.pages import pages
from ckptstore.maintenance.reindex import stored_keys
from ckptstore.maintenance.reports import VerifyReport
from ckptstore.maintenance.thread_rows import CheckpointMetadata, indexed_tag_rows
from ckptstore.records import CheckpointKey, StateFormat
from ckptstore.tags.keys import EVERYTHING, TagKeys

# A checkpoint may have 1,000 tags.
_CHECKPOINTS_PER_PAGE = 100


async def check_tags(objects: ObjectRegistry, state_format: StateFormat, report: VerifyReport) -> None:
    """Look for every tag that the index must have, unless it is being rebuilt."""
    try:
        tag_keys = await objects.read(stored_keys) or EVERYTHING
    except TagKeysChanged:
        return
    start = {f"after_{name}": "" for name in sql.tables.CHECKPOINT_KEY}

    async def read(parameters: dict[str, Any]) -> Sequence[CheckpointMetadata]:
        page = await objects.read(partial(_check_page, parameters=parameters, tag_keys=tag_keys, state_format=state_format))
        report.untagged_checkpoints += page.untagged
        report.corrupt += page.corrupt
        return page.checkpoints

    async for _ in pages(read, start, _after, _CHECKPOINTS_PER_PAGE):
        pass


class _Page(NamedTuple):
    checkpoints: Sequence[CheckpointMetadata]
    #: Those that lack some of their tags.
    untagged: Sequence[CheckpointKey]
    #: What is wrong with those whose metadata can't be parsed.
    corrupt: Sequence[str]


def _check_page(db: Db, parameters: dict[str, Any], tag_keys: TagKeys, state_format: StateFormat) -> _Page:
    db.expect_long()
    expected: set[Row] = set()
    corrupt: list[str] = []
    # One snapshot: a prune deletes checkpoints together with their tags.
    with db.snapshot():
        page = [CheckpointMetadata(CheckpointKey(*key), metadata) for *key, metadata in db.run(sql.verify.metadata_after, parameters)]
        for each in page:
            try:
                expected.update(indexed_tag_rows([each], tag_keys, state_format))
            except CheckpointCorrupt as exc:
                corrupt.append(str(exc))
        found = db.run(sql.verify.tags_among, db.key_parameters(sql.tables.TAG_KEY, expected)) if expected else ()
        missing = expected - {tuple(row) for row in found}
    return _Page(page, sorted({CheckpointKey(thread, ns, id_) for _, _, id_, thread, ns in missing}), corrupt)


def _after(last: CheckpointMetadata) -> dict[str, str]:
    return {f"after_{name}": cell for name, cell in zip(sql.tables.CHECKPOINT_KEY, last.key, strict=True)}
