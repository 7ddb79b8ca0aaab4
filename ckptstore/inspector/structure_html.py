"""Structures as HTML: what fits on a line is on one, messages are a conversation, and what is long is cut and linked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from markupsafe import Markup

from ckptstore.errors import InvalidConfig
from ckptstore.handles import BLOB_REF_NAMES, digest_of_handle
from ckptstore.inspector.addressing import Path, elements_of, embedded_in, embedded_part
from ckptstore.inspector.media import Kind, media_named, media_of
from ckptstore.langgraph.structure.as_text import byte_count, inline, named, on_line, printable
from ckptstore.langgraph.structure.messages import CALL_FIELDS, Message, message_of, messages_of
from ckptstore.langgraph.structure.nodes import NotShown, Pairs, Structure, Typed
from ckptstore.langgraph.structure.redaction import REDACTED

_LINE = 76
_PREVIEWED_CHARACTERS = 1_200
_DIGEST = 12
_HANDLES = frozenset(".".join(name) for name in BLOB_REF_NAMES)
_EMPTY = Markup("")


class HtmlLimits(NamedTuple):
    """How much of a structure is on a page."""

    #: Elements of a list or dict.
    elements: int = 40
    #: The last messages of a conversation.
    messages: int = 30
    #: Characters of a text.
    text: int = 4_000
    #: Levels within levels.
    depth: int = 8


class Links(NamedTuple):
    """Makes the URLs of parts of a value."""

    #: The page of a part, from the element with this number on.
    more: Callable[[Path, int], str]
    #: The bytes of a part.
    raw: Callable[[Path], str]


class StructureHtml:
    """Makes HTML of one value.

    Args:
        links: to what is not on the page.
        limits: how much is.
    """

    def __init__(self, links: Links, limits: HtmlLimits = HtmlLimits()) -> None:  # noqa: B008  # it can't be changed
        self._links = links
        self._limits = limits

    def whole(self, structure: Structure, path: Path = (), start: int | None = None) -> Markup:
        """A value, or the part of it at `path`.

        It begins at the element `start`; without it, a conversation has its end, and all else its beginning.
        """
        messages = messages_of(structure)
        if messages is not None:
            first = max(0, len(messages) - self._limits.messages) if start is None else start
            return self._conversation(structure, messages, path, first)
        if isinstance(structure, (list, dict, tuple, Pairs, Typed)) and start:
            return self._elements(structure, path, 0, start)
        return self.of(structure, path)

    def of(self, structure: Structure, path: Path, depth: int = 0) -> Markup:
        """A part of a value."""
        match structure:
            case NotShown(reason):
                kind = "redacted" if structure == REDACTED else "not-shown"
                return Markup('<span class="{}">{}</span>').format(kind, reason)
            case str():
                return self._text(structure, path)
            case bytes():
                return self._bytes(structure, path)
            case None | bool() | int() | float():
                return Markup('<span class="literal">{}</span>').format(str(structure))
        if isinstance(structure, Typed) and structure.type in _HANDLES:
            return self._handle(structure, path)
        is_said = message_of(structure) is not None or messages_of(structure) is not None
        if not is_said and not _has_media(structure) and (line := on_line(structure, _LINE)) is not None:
            return Markup("<code>{}</code>").format(line)
        return self._composite(structure, path, depth)

    def _composite(self, structure: Structure, path: Path, depth: int) -> Markup:
        if depth >= self._limits.depth:
            return Markup('<code>{}</code> <a href="{}">show</a>').format(inline(structure, _LINE), self._links.more(path, 0))
        message = message_of(structure)
        if message is not None:
            return self._message(structure, message, path, depth)
        messages = messages_of(structure)
        if messages is not None:
            return self._conversation(structure, messages, path, max(0, len(messages) - self._limits.messages))
        if isinstance(structure, Typed):
            name = Markup('<p class="type" title="{}">{}</p>').format(printable(structure.type), printable(structure.name))
            return name + self._elements(structure, path, depth, 0)
        return self._elements(structure, path, depth, 0)

    # --- elements

    def _elements(self, structure: Structure, path: Path, depth: int, start: int) -> Markup:
        elements = elements_of(structure)
        names = _names_of(structure)
        end = min(len(elements), start + self._limits.elements)
        embedded = embedded_part(structure)
        rows = [
            self._row(names[number], self._element(elements[number], (*path, number), depth + 1, embedded)) for number in range(start, end)
        ]
        left = len(elements) - end
        more = Markup('<p class="more"><a href="{}">{} more</a></p>').format(self._links.more(path, end), f"{left:,}") if left else _EMPTY
        kind = "entries numbered" if isinstance(structure, (list, tuple)) else "entries"
        return Markup('<dl class="{}">{}</dl>{}').format(kind, _EMPTY.join(rows), more)

    def _element(self, element: Structure, path: Path, depth: int, embedded: tuple[int, bytes] | None) -> Markup:
        if embedded is not None and embedded[0] == path[-1]:
            return self._bytes(embedded[1], path)
        return self.of(element, path, depth)

    @staticmethod
    def _row(name: str, value: Markup) -> Markup:
        return Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, value)

    # --- texts and bytes

    def _text(self, text: str, path: Path) -> Markup:
        data = embedded_in(text) if text.startswith("data:") else None
        if data is not None:
            return self._bytes(data, path)
        shown = text[: self._limits.text]
        kind = "text long" if len(text) > _LINE or "\n" in text else "text"
        more = _EMPTY
        if len(text) > len(shown):
            more = Markup(' <a class="more" href="{}">{} more characters</a>').format(self._links.raw(path), f"{len(text) - len(shown):,}")
        return Markup('<span class="{}" dir="auto">{}</span>{}').format(kind, shown, more)

    def _bytes(self, data: bytes, path: Path) -> Markup:
        media = media_of(data)
        about = f"{byte_count(len(data))}, sha256 {hashlib.sha256(data).hexdigest()[:_DIGEST]}"
        beginning = data[:_PREVIEWED_CHARACTERS].decode(errors="replace") if media.kind is Kind.TEXT else ""
        return self._figure(media.kind, media.content_type.partition(";")[0], about, path, beginning)

    def _handle(self, handle: Typed, path: Path) -> Markup:
        """A file that is kept in blob storage. It is not read for the page."""
        fields = handle.fields
        size, media_type = fields.get("size"), fields.get("media_type")
        try:
            digest = digest_of_handle(fields)[:_DIGEST]
        except InvalidConfig:
            return Markup("<code>{}</code>").format(inline(handle, _LINE))
        named = media_type if isinstance(media_type, str) else None
        about = f"{byte_count(size) if type(size) is int else 'unknown size'}, sha256 {digest}, by handle"
        return self._figure(media_named(named), printable(named or "file"), about, path, "")

    def _figure(self, kind: Kind, named: str, about: str, path: Path, beginning: str) -> Markup:
        raw = self._links.raw(path)
        if kind in (Kind.IMAGE, Kind.SVG):
            preview = Markup('<a href="{0}"><img src="{0}" alt="{1}" loading="lazy"></a>').format(raw, f"a picture, {about}")
        elif kind is Kind.PDF:
            source = f"{raw}&preview=1#toolbar=0&navpanes=0&view=FitH"
            preview = Markup('<iframe src="{}" title="{}" loading="lazy"></iframe>').format(source, f"a PDF, {about}")
        else:
            preview = Markup('<pre dir="auto">{}</pre>').format(beginning) if beginning else _EMPTY
        caption = Markup('<figcaption>{} <span class="muted">{}</span> <a href="{}">open</a></figcaption>').format(named, about, raw)
        return Markup('<figure class="media {}">{}{}</figure>').format(kind, preview, caption)

    # --- messages

    def _conversation(self, structure: Sequence[Structure], messages: Sequence[Message], path: Path, start: int) -> Markup:
        end = min(len(messages), start + self._limits.messages)
        shown = [self._message(structure[number], messages[number], (*path, number), 1) for number in range(start, end)]
        earlier, later = _EMPTY, _EMPTY
        if start:
            first = max(0, start - self._limits.messages)
            earlier = Markup('<p class="more"><a href="{}">{} earlier messages</a></p>').format(self._links.more(path, first), f"{start:,}")
        if end < len(messages):
            left = f"{len(messages) - end:,}"
            later = Markup('<p class="more"><a href="{}">{} later messages</a></p>').format(self._links.more(path, end), left)
        return Markup('{}<ol class="conversation" start="{}">{}</ol>{}').format(earlier, start + 1, _EMPTY.join(shown), later)

    def _message(self, structure: Structure, message: Message, path: Path, depth: int) -> Markup:
        assert isinstance(structure, Typed)
        names = list(structure.fields)
        body = self._content(message.content, (*path, names.index("content")), depth)
        calls = _EMPTY.join(self._calls(structure, path, depth))
        more = self._more_fields(structure, message, path, depth)
        who = Markup('<header><span class="role">{}</span>{}{}</header>').format(
            printable(message.role),
            Markup(' <span class="name">{}</span>').format(printable(message.name)) if message.name else _EMPTY,
            Markup(' <span class="muted id">answers {}</span>').format(printable(message.tool_call_id)) if message.tool_call_id else _EMPTY,
        )
        known = message.role if message.role in ("human", "ai", "system", "tool", "function", "remove") else "other"
        return Markup('<li class="message {}">{}<div class="said">{}</div>{}{}</li>').format(known, who, body, calls, more)

    def _content(self, content: Structure, path: Path, depth: int) -> Markup:
        if not isinstance(content, list):
            return self.of(content, path, depth)
        return _EMPTY.join(Markup('<div class="part">{}</div>').format(part) for part in self._parts(content, path, depth))

    def _parts(self, content: list[Structure], path: Path, depth: int) -> Iterator[Markup]:
        for number, part in enumerate(content[: self._limits.elements]):
            at = (*path, number)
            if isinstance(part, dict) and isinstance(part.get("text"), str) and set(part) <= {"type", "text"}:
                yield self._text(part["text"], (*at, list(part).index("text")))
            else:
                yield self.of(part, at, depth + 1)

    def _calls(self, structure: Typed, path: Path, depth: int) -> Iterator[Markup]:
        for place, field in enumerate(structure.fields):
            calls = structure.fields[field] if field in CALL_FIELDS else None
            for number, call in enumerate(calls if isinstance(calls, list) else []):
                yield self._call(call, (*path, place, number), depth)

    def _call(self, call: Structure, path: Path, depth: int) -> Markup:
        if not isinstance(call, dict) or "args" not in call:
            return Markup('<div class="call">{}</div>').format(self.of(call, path, depth + 2))
        name = printable(str(call.get("name")))
        id_ = Markup(' <span class="muted id">{}</span>').format(printable(str(call["id"]))) if call.get("id") else _EMPTY
        values = self.of(call["args"], (*path, list(call).index("args")), depth + 2)
        return Markup('<div class="call"><p><span class="tool-name">{}</span>{}</p>{}</div>').format(name, id_, values)

    def _more_fields(self, structure: Typed, message: Message, path: Path, depth: int) -> Markup:
        if not message.more:
            return _EMPTY
        names = list(structure.fields)
        rows = [self._row(printable(name), self.of(value, (*path, names.index(name)), depth + 2)) for name, value in message.more.items()]
        summary = printable(", ".join(message.more))
        return Markup('<details class="more-fields"><summary>{}</summary><dl class="entries">{}</dl></details>').format(
            summary, _EMPTY.join(rows)
        )


def _names_of(structure: Structure) -> list[str]:
    """What stands before each of a structure's elements."""
    match structure:
        case dict():
            return [_key(key) for key in structure]
        case Pairs(pairs):
            return [_key(key) for key, _ in pairs]
        case Typed(content=content) if elements_of(content):
            return _names_of(content)
        case Typed():
            return [structure.form]
    return [str(number) for number in range(len(structure))]


def _key(key: Structure) -> str:
    return named(key) if isinstance(key, str) else inline(key, _LINE)


def _has_media(structure: Structure, depth: int = 0) -> bool:
    """Whether a structure has bytes or a handle near its beginning: then it is not shown as a line of text."""
    if isinstance(structure, bytes) or (isinstance(structure, Typed) and structure.type in _HANDLES):
        return True
    if isinstance(structure, str):
        return structure.startswith("data:")
    if embedded_part(structure) is not None:
        return True
    # What has more elements fits on no line.
    elements = elements_of(structure)
    return depth < _LINE and len(elements) <= _LINE and any(_has_media(each, depth + 1) for each in elements)
