"""The classes whose objects are reused: LangChain's messages and documents, which serialise to what their fields hold and nothing else."""

from __future__ import annotations

from types import NoneType
from typing import Any

from langchain_core import messages
from langchain_core.documents import Document

#: Class -> its number. Subclasses are not among them: they may serialise to something that is not in their fields. Each class is one that
#: LangGraph builds under any allowlist.
CLASS_NUMBERS: dict[type[Any], int] = {
    cls: number
    for number, cls in enumerate(
        (
            messages.AIMessage,
            messages.AIMessageChunk,
            messages.ChatMessage,
            messages.ChatMessageChunk,
            Document,
            messages.FunctionMessage,
            messages.FunctionMessageChunk,
            messages.HumanMessage,
            messages.HumanMessageChunk,
            messages.RemoveMessage,
            messages.SystemMessage,
            messages.SystemMessageChunk,
            messages.ToolMessage,
            messages.ToolMessageChunk,
        )
    )
}

#: The classes by the names under which they are serialised.
CLASSES_BY_NAME = {(cls.__module__, cls.__name__): cls for cls in CLASS_NUMBERS}

#: In the serialised form of every one of these classes.
NAME_PREFIX = b"langchain_core."

_ATOMS = frozenset((str, int, float, bool, NoneType))


def is_plain(value: Any) -> bool:
    """Whether a value is made of JSON's types and tuples only, and of no subclasses of them.

    `marshal` writes exactly these so that equal bytes mean equal values of equal types; bytes it confuses with other buffers, and the
    order of a set it does not keep.
    """
    kind = type(value)
    if kind in _ATOMS:
        return True
    if kind is dict:
        return all(map(is_plain, value)) and all(map(is_plain, value.values()))
    return (kind is list or kind is tuple) and all(map(is_plain, value))
