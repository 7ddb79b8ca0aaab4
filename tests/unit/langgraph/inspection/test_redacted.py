"""States without the values of hidden keys."""

from __future__ import annotations

from ckptstore.langgraph.inspection.redacted import redacted
from ckptstore.langgraph.inspection.state import ChannelState, CheckpointState, PendingWrite
from ckptstore.langgraph.inspection.state_json import state_as_json
from ckptstore.langgraph.structure.nodes import NotShown, Typed
from ckptstore.langgraph.structure.redaction import NO_REDACTION, REDACTED, Redaction
from ckptstore.records import CheckpointKey

STATE = CheckpointState(
    CheckpointKey("t", "", "1"),
    None,
    4,
    {"user": {"email": "e"}, "email": "e"},
    None,
    {name: ChannelState(name, "1", {"email": "e", "n": 1}, 5, 0, False) for name in ("a", "email")},
    [PendingWrite("task", "", "email", "e", 1), PendingWrite("task", "", "b", ["x", {"email": "e"}], 1)],
)


def test_channels_metadata_and_writes_are_hidden() -> None:
    found = redacted(STATE, Redaction(["email"]))
    assert found.metadata == {"user": {"email": REDACTED}, "email": REDACTED}
    assert [of.content for of in found.channels.values()] == [{"email": REDACTED, "n": 1}, REDACTED]
    assert [write.content for write in found.writes] == [REDACTED, ["x", {"email": REDACTED}]]
    # Names and sizes stay.
    assert [(of.name, of.size) for of in found.channels.values()] == [("a", 5), ("email", 5)]
    assert '"e"' not in str(state_as_json(found))


def test_a_reason_why_a_value_is_not_shown_is_hidden_as_the_value_is() -> None:
    reason = NotShown("it can't be read: 's3cret'")
    channels = {name: ChannelState(name, "1", content, 5, 0, False) for name, content in (("email", reason), ("a", {"email": reason}))}
    writes = [PendingWrite("task", "", "email", reason, 1), PendingWrite("task", "", "b", Typed("m.C", {"email": reason}, "fields"), 1)]
    found = redacted(STATE._replace(channels=channels, writes=writes, metadata={"user": {"email": reason}}), Redaction(["email"]))
    assert "s3cret" not in repr(found)
    assert "s3cret" not in str(state_as_json(found))


def test_without_patterns_a_state_stays_as_it_is() -> None:
    assert redacted(STATE, NO_REDACTION) is STATE
