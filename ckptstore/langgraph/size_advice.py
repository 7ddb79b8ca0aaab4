"""What would make a value smaller, for the error that refuses a checkpoint."""

from __future__ import annotations

from ckptstore.records import Value
from ckptstore.values.base64_text import base64_offsets, may_hold_text

# LangGraph's serialiser names the module of each object that it writes.
_MESSAGES = b"langchain_core.messages"
_LOOKED_AT = 4096
# A file in base64 has nearly all of its 64 characters; a repeated letter or a hexadecimal dump has few.
_LEAST_CHARACTERS = 33
# Of so many characters from all over a text: the set of all of 15 MB takes 60 ms, in which the caller's loop does nothing else.
_SAMPLED = 65_536


def advise(value: Value | None, leaves_count: bool) -> str:
    """What to do about the largest channel of a checkpoint that is too large.

    Args:
        value: of that channel, as it was serialised; None if that is not known.
        leaves_count: whether large binary leaves or attachments of it count: they are too large for the database, and the saver has no
            blob storage.
    """
    if value is None:
        return "trim it"
    if value.leaf_offsets and leaves_count:
        return "give the saver a blob_url: then the files and images in it are stored apart, and do not count"
    if value.type == "msgpack" and _has_more_base64(value):
        return "keep files as bytes, or in image, audio or file blocks of messages: then they are stored apart, and do not count"
    if _MESSAGES in value.data[:_LOOKED_AT]:
        return "trim its messages (RemoveMessage, langchain_core.messages.trim_messages), or summarise the older ones"
    if value.type == "msgpack" and may_hold_text(value.data):
        return "store the long text with saver.blobs.put, and keep its handle in the state"
    return "trim it, or keep large files as bytes, which are stored apart and do not count"


def _has_more_base64(value: Value) -> bool:
    offsets = base64_offsets(value.data)
    texts = [value.data[start:end] for start, end in zip(offsets[::2], offsets[1::2], strict=True) if start not in value.leaf_offsets]
    return any(len(set(text[:: len(text) // _SAMPLED | 1])) >= _LEAST_CHARACTERS for text in texts)
