"""What a prune decides by."""

from __future__ import annotations

import pytest

from ckptstore.db.connection import Db
from ckptstore.errors import CheckpointCorrupt
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.maintenance.prune_nodes import thread_view
from ckptstore.maintenance.prune_plan import CheckpointRef
from ckptstore.writes.commit import commit_batch
from tests.support.attempts import new_checkpoint


def test_a_view_has_hidden_checkpoints_too_and_names_one_whose_versions_were_altered(db: Db) -> None:
    commit_batch(db, [new_checkpoint("t", name) for name in "12"])
    db.execute("UPDATE ckpt_checkpoint SET hidden = 1 WHERE checkpoint_id = '1'")
    view = thread_view(db, "t", LANGGRAPH, 7)
    assert list(view.nodes) == [CheckpointRef("", "1"), CheckpointRef("", "2")]
    assert ([node.ref.checkpoint_id for node in view.visible], view.updated_at) == (["2"], 7)
    db.execute("UPDATE ckpt_checkpoint SET channel_versions = '[]' WHERE checkpoint_id = '2'")
    with pytest.raises(CheckpointCorrupt, match="checkpoint '2' of thread 't'"):
        thread_view(db, "t", LANGGRAPH, 7)
