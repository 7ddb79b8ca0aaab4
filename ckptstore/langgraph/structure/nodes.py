"""What a serialised value says, as plain data: the structure that commands and pages show.

A structure is None, a boolean, a number, a text, `bytes`, a list or a dict of structures, or one of the nodes here. It never holds an
object of a user's class, and nothing is imported to make one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Structure = Any


@dataclass(frozen=True, slots=True)
class Typed:
    """An object of a class, which was not built."""

    #: Module and name of its class.
    type: str
    #: What the class would be called with.
    content: Structure
    #: Whether `content` is one value, a list of positional arguments, or a dict of fields.
    form: Literal["value", "arguments", "fields"]

    @property
    def name(self) -> str:
        """The name of the class without its module."""
        return self.type.rpartition(".")[2]

    @property
    def fields(self) -> dict[str, Structure]:
        """The fields; empty if the object was stored in another form."""
        return self.content if self.form == "fields" else {}


@dataclass(frozen=True, slots=True)
class Pairs:
    """A dict with a key that Python's dicts can't have, such as an object with a list in it."""

    pairs: tuple[tuple[Structure, Structure], ...]


@dataclass(frozen=True, slots=True)
class NotShown:
    """Stands for a value that can't be shown, or must not be."""

    #: A sentence without a full stop: why, and what to do about it.
    reason: str
