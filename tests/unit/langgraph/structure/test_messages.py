"""Messages among structures."""

from __future__ import annotations

from langchain_core.messages import AIMessage, HumanMessage

from ckptstore.langgraph.structure.messages import message_of, messages_of
from ckptstore.langgraph.structure.nodes import Typed
from ckptstore.langgraph.structure.reading import structure_of
from ckptstore.records import Value
from tests.support.value_kinds import CALL, MESSAGES
from tests.support.values import SERDE

ROLES = ["human", "ai", "ai", "system", "tool", "function", "critic", "remove", "ai", "human", "system", "tool", "function"]


class Note(HumanMessage):
    """A user's own class of messages."""


def test_messages_have_roles_contents_and_calls() -> None:
    found = messages_of(structure_of(Value(*SERDE.dumps_typed(MESSAGES))))
    assert found is not None
    assert [message.role for message in found] == ROLES
    assert (found[1].content, found[1].id) == ("I'll look.", "a")
    assert found[1].tool_calls == [CALL]
    assert found[1].more.keys() == {"response_metadata", "usage_metadata"}
    assert found[2].tool_calls == [{"name": "x", "args": "{", "id": "i", "error": "no", "type": "invalid_tool_call"}]
    assert found[4].tool_call_id == "call"


def test_a_users_class_of_messages_is_one_too() -> None:
    found = message_of(structure_of(Value(*SERDE.dumps_typed(Note(content="hm", id="n")))))
    assert found is not None
    assert (found.role, found.content, found.id) == ("human", "hm", "n")


def test_the_role_is_the_class_where_nothing_says_it() -> None:
    found = message_of(Typed("langchain.schema.messages.HumanMessage", {"content": "hi"}, "fields"))
    assert found is not None
    assert found.role == "human"


def test_what_is_no_message_is_none() -> None:
    assert message_of(Typed("my.app.Page", {"content": "x"}, "fields")) is None
    assert message_of({"content": "x"}) is None
    assert messages_of([]) is None
    assert messages_of([structure_of(Value(*SERDE.dumps_typed(AIMessage("x")))), 1]) is None
