"""Retention as users say it: how old, how many, how idle, and what is exempt."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from ckptstore.errors import InvalidFilter, InvalidPolicy
from ckptstore.maintenance.prune_plan import CheckpointRef, Rule, ThreadView, newest_of
from ckptstore.tags.filters import Filter

_MICROSECOND = timedelta(microseconds=1)
_AGES = ("max_age", "thread_ttl")
# What a database's integers hold, and more than any thread has.
_MOST = 2**31 - 1
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# A century: moments stay within the database's integers, and within `datetime`.
_LONGEST = timedelta(days=36_600)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """Which checkpoints may go.

    A checkpoint goes when it is older than `max_age` and not among the newest `keep_last` of its namespace; where only one of
    the two is given, that one decides. A thread in which nothing was stored for `thread_ttl` goes whole. What matches one of
    `keep_tags` stays in any case. A subgraph's checkpoints stay with the root graph's checkpoint that they ran under, and those of
    single tasks go with it; a subgraph with a memory of its own keeps the newest as long as anything of the thread stays. What a
    remaining checkpoint is read from stays too, out of sight.

    Args:
        max_age: by the saver's clock, from when a checkpoint was stored.
        keep_last: per thread and namespace.
        thread_ttl: since the last checkpoint or write.
        keep_tags: a metadata filter, see `ckptstore.tags.filters`, or several of them.

    Raises:
        InvalidPolicy: a value makes no sense, or nothing would ever go; the message names the field.
    """

    max_age: timedelta | None = None
    keep_last: int | None = None
    thread_ttl: timedelta | None = None
    keep_tags: Sequence[Mapping[str, Any]] = field(default=())

    def __post_init__(self) -> None:
        """Check every field, and read `keep_tags`."""
        for name in _AGES:
            _check_age(name, getattr(self, name))
        _check_number("keep_last", self.keep_last)
        object.__setattr__(self, "keep_tags", _checked_filters(self.keep_tags))
        if self.max_age is None and self.keep_last is None and self.thread_ttl is None:
            raise InvalidPolicy("nothing would ever go: give max_age, keep_last or thread_ttl")

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """A policy from plain values: ages as `timedelta`, as a number of days, or as text such as `30d`, `12h` or `90m`.

        Raises:
            InvalidPolicy: a key is unknown, or a value makes no sense.
        """
        if not isinstance(given, Mapping):
            raise InvalidPolicy(f"a policy is a dict, got {type(given).__name__}")
        known = [each.name for each in fields(cls)]
        unknown = sorted(str(key) for key in given if key not in known)
        if unknown:
            raise InvalidPolicy(f"unknown key {unknown[0]!r}; a policy has {', '.join(known)}")
        values = dict(given)
        for name in _AGES:
            if values.get(name) is not None:
                values[name] = parse_age(name, values[name])
        return cls(**values)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """A policy from a TOML file: its keys at the top, or in a table `[retention]` or `[tool.ckptstore.retention]`.

        Raises:
            InvalidPolicy: it is no TOML, or no policy.
            OSError: the file can't be read.
        """
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise InvalidPolicy(f"{path} is no TOML: {exc}") from exc
        return cls.from_dict(_table(content, "tool", "ckptstore", "retention") or _table(content, "retention") or content)

    def to_dict(self) -> dict[str, Any]:
        """The policy in plain values that `from_dict` reads: ages as text."""
        plain: dict[str, Any] = {}
        for name in _AGES:
            age: timedelta | None = getattr(self, name)
            if age is not None:
                plain[name] = _age_as_text(age)
        if self.keep_last is not None:
            plain["keep_last"] = self.keep_last
        if self.keep_tags:
            plain["keep_tags"] = [dict(each) for each in self.keep_tags]
        return plain

    def moment(self, name: str, now: int) -> int | None:
        """Where an age ends that began at `now` (microseconds since 1970, UTC), by the field's name; None where it is not given."""
        age: timedelta | None = getattr(self, name)
        return None if age is None else now - age // _MICROSECOND

    def oldest(self, now: int) -> int | None:
        """From before this moment nothing stays that belongs to no checkpoint, whatever thread it is in."""
        return min((moment for name in _AGES if (moment := self.moment(name, now)) is not None), default=None)

    def rule(self, now: int) -> Rule:
        """The checkpoints of a thread that stay, at a moment (microseconds since 1970, UTC)."""
        exempt = [Filter.parse(each) for each in self.keep_tags]
        old = self.moment("max_age", now)
        idle = self.moment("thread_ttl", now)

        def kept(view: ThreadView) -> set[CheckpointRef]:
            seeds = {node.ref for node in view.visible if exempt and _is_exempt(node.metadata, exempt)}
            if idle is None or _last_activity(view) >= idle:
                seeds |= self._kept_by_age_and_number(view, old)
            roots = {view.nodes[ref].root for ref in seeds}
            kept = seeds | {node.ref for node in view.visible if node.root in roots}
            # The root graph goes on with what they last knew, however long ago that was.
            return kept | newest_of((node for node in view.visible if node.of_memory), 1) if kept else kept

        return kept

    def _kept_by_age_and_number(self, view: ThreadView, old: int | None) -> set[CheckpointRef]:
        if old is None and self.keep_last is None:
            return {node.ref for node in view.visible}
        young = set() if old is None else {node.ref for node in view.visible if node.created_at >= old}
        if self.keep_last is None:
            return young
        # Those of a single task's subgraph are of use beneath their root only.
        return young | newest_of((node for node in view.visible if not node.of_single_task), self.keep_last)


def _last_activity(view: ThreadView) -> int:
    # The thread's own note may be a second behind.
    return max([view.active_at, *(node.created_at for node in view.visible)])


def _is_exempt(metadata: str, exempt: Sequence[Filter]) -> bool:
    plain = json.loads(metadata)
    return any(wanted.matches(plain) for wanted in exempt)


def parse_age(name: str, given: Any) -> timedelta:
    """An age as people write it: a `timedelta`, a number of days, or a number with a unit (`s`, `m`, `h`, `d` or `w`).

    Raises:
        InvalidPolicy: it is none of them.
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
        raise InvalidPolicy(f"{name} must be a number of days, or text such as '30d' or '12h', got {given!r}") from exc


def _check_age(name: str, age: Any) -> None:
    if age is None:
        return
    if not isinstance(age, timedelta):
        raise InvalidPolicy(f"{name} must be a timedelta, got {age!r}; RetentionPolicy.from_dict reads text such as '30d'")
    if not timedelta(0) <= age <= _LONGEST:
        raise InvalidPolicy(f"{name} must be from 0 to {_LONGEST.days} days, got {age}")


def _check_number(name: str, number: Any) -> None:
    if number is None:
        return
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= _MOST:
        raise InvalidPolicy(f"{name} must be a whole number from 1 to {_MOST}, got {number!r}")


def _age_as_text(age: timedelta) -> str:
    if age % timedelta(days=1):
        return f"{age // timedelta(seconds=1)}.{age.microseconds:06}".rstrip("0").rstrip(".") + "s"
    return f"{age.days}d"


def _table(content: Any, *names: str) -> Any:
    """A table within tables; None where one of them is not there, or no table."""
    for name in names:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


def _checked_filters(given: Any) -> tuple[Mapping[str, Any], ...]:
    filters = (given,) if isinstance(given, Mapping) else given
    if isinstance(filters, str) or not isinstance(filters, Sequence):
        raise InvalidPolicy(f"keep_tags must be a metadata filter or a list of them, got {type(given).__name__}")
    for each in filters:
        if not each:
            raise InvalidPolicy("a filter in keep_tags is empty: everything would stay")
        try:
            Filter.parse(each)
        except InvalidFilter as exc:
            raise InvalidPolicy(f"keep_tags: {exc}") from exc
    try:
        # Plain values, as a file would have them: a set in `$in` becomes a list.
        return tuple(json.loads(json.dumps(list(filters), default=list)))
    except (TypeError, ValueError) as exc:
        raise InvalidPolicy(f"keep_tags holds what JSON can't: {exc}") from exc
