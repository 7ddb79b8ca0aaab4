"""`RetentionPolicy`: which checkpoints a prune keeps, by age, number, last activity and metadata."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from ckptstore.errors import InvalidFilter, InvalidPolicy, brief
from ckptstore.maintenance.prune_plan import CheckpointRef, Rule, ThreadView, newest_of, with_subgraphs
from ckptstore.tags.filters import Filter

_DELETES_NOTHING = "the policy never deletes anything: give max_age, keep_last or thread_ttl"
_MICROSECOND = timedelta(microseconds=1)
_AGE_FIELDS = ("max_age", "thread_ttl")
# The largest integer of the database's columns; no thread has so many checkpoints.
_MAX_KEEP_LAST = 2**31 - 1
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# A century: times stay within the database's integers, and within `datetime`.
_MAX_AGE = timedelta(days=36_600)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """Which checkpoints a prune keeps, and which it deletes.

    A checkpoint is deleted if it is older than `max_age` and not among the newest `keep_last` of its thread and namespace; if only
    one of the two is given, that one decides. A thread in which nothing was stored for `thread_ttl` is deleted completely. A
    checkpoint that matches one of `keep_tags` is always kept. A subgraph's checkpoints are kept with the root graph's checkpoint
    that they ran under, and those of single tasks are deleted with it; of a subgraph with its own persistent state, the newest is
    kept as long as anything of the thread is. A checkpoint from which a kept one is rebuilt is hidden instead of deleted.

    Args:
        max_age: the age of a checkpoint, from when it was stored, by the saver's clock.
        keep_last: how many checkpoints to keep of each thread and namespace, whatever their age.
        thread_ttl: the time since the last checkpoint or write of a thread.
        keep_tags: a metadata filter, see `ckptstore.tags.filters`, or a list of them.

    Raises:
        InvalidPolicy: a value is invalid, or the policy would never delete anything; the message names the field.
    """

    max_age: timedelta | None = None
    keep_last: int | None = None
    thread_ttl: timedelta | None = None
    keep_tags: Sequence[Mapping[str, Any]] = field(default=())

    def __post_init__(self) -> None:
        """Validate every field, and normalise `keep_tags`."""
        for name in _AGE_FIELDS:
            _check_age(name, getattr(self, name))
        _check_number("keep_last", self.keep_last)
        object.__setattr__(self, "keep_tags", _checked_filters(self.keep_tags))
        if self.max_age is None and self.keep_last is None and self.thread_ttl is None:
            raise InvalidPolicy(_DELETES_NOTHING)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Make a policy from plain values: ages as `timedelta`, as a number of days, or as text such as `30d`, `12h` or `90m`.

        Raises:
            InvalidPolicy: a key is unknown, or a value is invalid.
        """
        if not isinstance(given, Mapping):
            raise InvalidPolicy(f"a policy must be a dict, got {type(given).__name__}")
        known = [each.name for each in fields(cls)]
        unknown = [brief(key) for key in given if key not in known]
        if unknown:
            raise InvalidPolicy(f"unknown key {unknown[0]}; known keys are {', '.join(known)}")
        values = dict(given)
        for name in _AGE_FIELDS:
            if values.get(name) is not None:
                values[name] = parse_age(name, values[name])
        return cls(**values)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a policy from a TOML file: its keys at the top level, or in a table `[retention]` or `[tool.ckptstore.retention]`.

        Raises:
            InvalidPolicy: the file is not valid TOML, or not a valid policy.
            OSError: the file can't be read.
        """
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise InvalidPolicy(f"{path} is not valid TOML: {exc}") from exc
        return cls.from_dict(_table(content, "tool", "ckptstore", "retention") or _table(content, "retention") or content)

    def to_dict(self) -> dict[str, Any]:
        """The policy as plain values that `from_dict` reads, with ages as text."""
        plain: dict[str, Any] = {}
        for name in _AGE_FIELDS:
            age: timedelta | None = getattr(self, name)
            if age is not None:
                plain[name] = _age_as_text(age)
        if self.keep_last is not None:
            plain["keep_last"] = self.keep_last
        if self.keep_tags:
            plain["keep_tags"] = [dict(each) for each in self.keep_tags]
        return plain

    def cutoff(self, name: str, now: int) -> int | None:
        """The time before which the age `max_age` or `thread_ttl` has passed; None if that field is not given.

        Args:
            name: the name of the field.
            now: the current time in microseconds since 1970, UTC, as is the result.
        """
        age: timedelta | None = getattr(self, name)
        return None if age is None else now - age // _MICROSECOND

    def orphan_cutoff(self, now: int) -> int | None:
        """The time before which writes without a checkpoint are deleted in every thread; None if they are kept."""
        return min((cutoff for name in _AGE_FIELDS if (cutoff := self.cutoff(name, now)) is not None), default=None)

    def rule(self, now: int) -> Rule:
        """The rule that names the checkpoints of a thread to keep at a time (microseconds since 1970, UTC)."""
        # A key with a dot keeps what either of its meanings matches.
        filters = [form for each in map(Filter.parse, self.keep_tags) for form in (each, each.nested(each.dotted.values()))]
        max_age_cutoff = self.cutoff("max_age", now)
        idle_cutoff = self.cutoff("thread_ttl", now)

        def kept(view: ThreadView) -> set[CheckpointRef]:
            chosen = {node.ref for node in view.visible if filters and _matches_any(node.metadata, filters)}
            if idle_cutoff is None or _last_activity(view) >= idle_cutoff:
                chosen |= self._kept_by_age_and_number(view, max_age_cutoff)
            return with_subgraphs(view, chosen)

        return kept

    def _kept_by_age_and_number(self, view: ThreadView, cutoff: int | None) -> set[CheckpointRef]:
        if cutoff is None and self.keep_last is None:
            return {node.ref for node in view.visible}
        young = set() if cutoff is None else {node.ref for node in view.visible if node.created_at >= cutoff}
        if self.keep_last is None:
            return young
        # The checkpoints of a single task's subgraph are only of use with their root.
        return young | newest_of((node for node in view.visible if not node.is_of_single_task), self.keep_last)


def _last_activity(view: ThreadView) -> int:
    # The time in the thread's row may be up to a second too early.
    return max([view.updated_at, *(node.created_at for node in view.visible)])


def _matches_any(metadata: str, filters: Sequence[Filter]) -> bool:
    parsed = json.loads(metadata)
    return isinstance(parsed, dict) and any(each.matches(parsed) for each in filters)


def parse_age(name: str, given: Any) -> timedelta:
    """Parse an age: a `timedelta`, a number of days, or a number with a unit (`s`, `m`, `h`, `d` or `w`).

    Args:
        name: of the field or option, for the error message.
        given: the age.

    Raises:
        InvalidPolicy: it is none of these.
    """
    if isinstance(given, timedelta):
        return given
    number, unit = given, "d"
    if isinstance(given, str):
        text = given.strip()
        number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "d")
    try:
        if isinstance(number, bool):
            raise TypeError
        return timedelta(**{_UNITS[unit]: float(number)})
    except (TypeError, ValueError, OverflowError) as exc:
        raise InvalidPolicy(f"{name} must be a number of days, or text such as '30d' or '12h', got {brief(given)}") from exc


def with_names(exc: InvalidPolicy, names: Mapping[str, str]) -> str:
    """What an error of a policy says, with the names that a command or a page has for its fields."""
    # Every other message begins with the field; what follows may be a user's.
    pattern = r"[a-z]+_[a-z]+" if str(exc) == _DELETES_NOTHING else r"^[a-z]+_[a-z]+"
    return re.sub(pattern, lambda found: names.get(found[0], found[0]), str(exc))


def _check_age(name: str, age: Any) -> None:
    if age is None:
        return
    if not isinstance(age, timedelta):
        raise InvalidPolicy(f"{name} must be a timedelta, got {brief(age)}; RetentionPolicy.from_dict reads text such as '30d'")
    if not timedelta(0) <= age <= _MAX_AGE:
        raise InvalidPolicy(f"{name} must be from 0 to {_MAX_AGE.days} days, got {age}")


def _check_number(name: str, number: Any) -> None:
    if number is None:
        return
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= _MAX_KEEP_LAST:
        raise InvalidPolicy(f"{name} must be a whole number from 1 to {_MAX_KEEP_LAST}, got {brief(number)}")


def _age_as_text(age: timedelta) -> str:
    if age % timedelta(days=1):
        return f"{age // timedelta(seconds=1)}.{age.microseconds:06}".rstrip("0").rstrip(".") + "s"
    return f"{age.days}d"


def _table(content: Any, *names: str) -> Any:
    """A nested table; None if one of the tables is missing, or is not a table."""
    for name in names:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


def _checked_filters(given: Any) -> tuple[Mapping[str, Any], ...]:
    filters = (given,) if isinstance(given, Mapping) else given
    if isinstance(filters, str) or not isinstance(filters, Sequence):
        raise InvalidPolicy(f"keep_tags must be a metadata filter or a list of them, got {type(given).__name__}")
    for each in filters:
        if not each:
            raise InvalidPolicy("keep_tags: a filter is empty, and would keep every checkpoint")
        try:
            Filter.parse(each)
        except InvalidFilter as exc:
            raise InvalidPolicy(f"keep_tags: {exc}") from exc
    try:
        # As plain values: a set in `$in` becomes a list.
        return tuple(json.loads(json.dumps(list(filters), default=list)))
    except (TypeError, ValueError) as exc:
        raise InvalidPolicy(f"keep_tags can't be written as JSON: {exc}") from exc
