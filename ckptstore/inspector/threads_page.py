"""The list of threads: found by a part of their id, by tags, by their last activity and by size."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from ckptstore.db.times import to_microseconds
from ckptstore.errors import CkptStoreError, InvalidConfig, InvalidFilter
from ckptstore.inspection.completion import tag_keys_like, tag_values_like
from ckptstore.inspector.checkpoint_page import Problem, attempt
from ckptstore.inspector.context import Inspector, inspector_of, required, text_of
from ckptstore.inspector.rendering import link, page, streamed
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.maintenance.policy import parse_age
from ckptstore.maintenance.reindex import stored_keys
from ckptstore.reads.threads import ThreadConditions, ThreadOrder
from ckptstore.records import ThreadInfo
from ckptstore.runtime.steps import drive
from ckptstore.store.listing import Listing, ThreadPages
from ckptstore.tags.encoding import nested_at, path_of
from ckptstore.tags.filters import Filter
from ckptstore.tags.keys import EVERYTHING

PAGE_SIZE = 50
_COMPLETIONS = 30
#: Choices of the last activity: value of the parameter -> what it says. A minus means before.
ACTIVITY: Final = {
    "": "any time",
    "1h": "last hour",
    "24h": "last day",
    "7d": "last week",
    "30d": "last 30 days",
    "-30d": "not for 30 days",
    "-90d": "not for 90 days",
}
#: Choices of the least size, in bytes.
SIZES: Final = {"": "any size", "102400": "from 100 KB", "1048576": "from 1 MB", "10485760": "from 10 MB"}
ORDERS: Final = {"updated_at": "last activity", "thread_id": "id"}
_PARAMETERS = ("q", "filter", "active", "size", "order")


class Chip(NamedTuple):
    """An entry of the filter."""

    text: str
    #: The list without it.
    without: str


class Found(NamedTuple):
    """A page of the list."""

    threads: list[ThreadInfo]
    #: The address of the next page, if there is one.
    following: str | None
    #: The keys that are offered for a tag.
    keys: list[str]


def threads(request: Request) -> Response:
    """The list, or, after a tag was chosen, a redirect to the list with it. The form is sent before the threads are read."""
    inspector = inspector_of(request)
    given = {name: value for name in _PARAMETERS if (value := request.query_params.get(name))}
    context: dict[str, Any] = {"given": given, "activity": ACTIVITY, "sizes": SIZES, "orders": ORDERS, "now": inspector.now()}
    context |= {"inspector": inspector, "place": "threads", "chips": [], "is_first": "after" not in request.query_params}
    try:
        for name in given:
            text_of(request, name)
        wanted = _wanted(given)
        if request.query_params.get("key"):
            merged = _merged(wanted, _typed(required(request, "key"), request.query_params.get("value", "")))
            return RedirectResponse(link("/threads", **{**given, "filter": json.dumps(merged, ensure_ascii=False)}), 303)
        context["chips"] = _chips(wanted, given)
        read = _search(inspector, given, wanted, text_of(request, "after"))
    except (InvalidFilter, InvalidConfig) as exc:
        return page("threads.html", 400, read=partial(Problem, str(exc)), **context)
    return streamed("threads.html", read=partial(attempt, read), **context)


def _keys(inspector: Inspector) -> list[str]:
    """The keys that are offered; none where the index can't be read."""
    try:
        found = drive(tag_keys_like(inspector.store, "", _COMPLETIONS))
    except CkptStoreError:
        return []
    return [key for key in found if not inspector.redaction.hides(_keys_in(key))]


def _keys_in(shown: str) -> tuple[str, ...]:
    """The keys of a path of the index."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in shown.replace("[]", "").split("/"))


# --- the filter


def _wanted(given: Mapping[str, str]) -> dict[str, Any]:
    text = given.get("filter", "")
    if not text:
        return {}
    try:
        wanted = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InvalidFilter(f'the filter is no JSON ({exc}); write one such as {{"user_id": "ann"}}') from exc
    if not isinstance(wanted, dict):
        raise InvalidFilter('the filter is no JSON object; write one such as {"user_id": "ann"}')
    return wanted


def _typed(key: str, value: str) -> dict[str, Any]:
    """The filter of a key and a value that were typed: a number, true, false, null or a text in quotes as in JSON, else a text as it is."""
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        parsed = value
    return nested_at(path_of(key), value if isinstance(parsed, (dict, list)) else parsed)


def _merged(one: Any, other: Any) -> Any:
    """Both filters in one; where they ask for different values of a key, the other's."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {**one, **{key: _merged(one[key], value) if key in one else value for key, value in other.items()}}
    return [*one, *other] if isinstance(one, list) and isinstance(other, list) else other


def _chips(wanted: dict[str, Any], given: Mapping[str, str]) -> list[Chip]:
    chips = []
    for key, value in wanted.items():
        others = {each: wanted[each] for each in wanted if each != key}
        without = {**given, "filter": json.dumps(others, ensure_ascii=False) if others else None}
        chips.append(Chip(f"{key}: {json.dumps(value, ensure_ascii=False)}", link("/threads", **without)))
    return chips


def _require_shown(inspector: Inspector, wanted: Any, path: tuple[str, ...] = ()) -> None:
    """Refuse a filter on a key that is hidden: its answers would tell the values."""
    if path and inspector.redaction.hides(path):
        raise InvalidFilter(f"the key {'/'.join(path)!r} is redacted (--redact), so it can't be searched for")
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            _require_shown(inspector, value, path if str(key).startswith("$") and path else (*path, *str(key).split(".")))
    elif isinstance(wanted, list):
        for each in wanted:
            _require_shown(inspector, each, path)


# --- the list


def _search(inspector: Inspector, given: Mapping[str, str], wanted: dict[str, Any], after: str | None) -> Callable[[], Found]:
    """What reads a page of the list. Whatever is wrong with what was asked for is raised here, before anything is sent."""
    _require_shown(inspector, wanted)
    store = inspector.store
    keys = (store.runner.read(stored_keys).result() if wanted else None) or EVERYTHING
    filter_ = Filter.parse(wanted or None, keys, unindexed_when_empty=LANGGRAPH.unindexed_when_empty)
    order = given.get("order", "updated_at")
    if order not in get_args(ThreadOrder):
        raise InvalidConfig(f"threads can't be ordered by {order[:40]!r}; choose one of {', '.join(ORDERS)}")
    pages = ThreadPages(store, filter_, order, PAGE_SIZE + 1, _after(after), _conditions(given, inspector.now()))  # type: ignore[arg-type]
    return partial(_found, inspector, given, Listing(lambda: iter(pages)))


def _found(inspector: Inspector, given: Mapping[str, str], listing: Listing[ThreadInfo]) -> Found:
    found, following = list(listing), None
    if len(found) > PAGE_SIZE:
        last = found[PAGE_SIZE - 1]
        following = link("/threads", **given, after=json.dumps([to_microseconds(last.updated_at), last.thread_id]))
    return Found(found[:PAGE_SIZE], following, _keys(inspector))


def _conditions(given: Mapping[str, str], now: datetime) -> ThreadConditions:
    active, size = given.get("active", ""), given.get("size", "")
    if size and not (size.isascii() and size.isdigit() and len(size) < 19):
        raise InvalidConfig(f"the least size is a number of bytes, got {size[:40]!r}")
    time = None if not active else to_microseconds(now - _age(active.removeprefix("-")))
    return ThreadConditions(
        part=given.get("q"),
        active_since=None if active.startswith("-") else time,
        active_before=time if active.startswith("-") else None,
        least_size=int(size) if size else None,
    )


def _age(text: str) -> timedelta:
    try:
        return parse_age("the last activity", text)
    except CkptStoreError as exc:
        raise InvalidConfig(str(exc)) from exc


def _after(text: str | None) -> ThreadInfo | None:
    """The last thread of the page before, as it was then."""
    if text is None:
        return None
    try:
        microseconds, thread_id = json.loads(text)
        updated_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
        return ThreadInfo(str(thread_id), updated_at, updated_at, 0, 0)
    except (ValueError, TypeError, OverflowError, RecursionError) as exc:
        raise InvalidConfig("the address of this page can't be read; begin at the first one") from exc


# --- completion


def tag_values(request: Request) -> Response:
    """The values of a key that begin as was typed, as JSON: for the page's script."""
    inspector = inspector_of(request)
    key, typed = required(request, "key"), request.query_params.get("typed", "")
    if inspector.redaction.hides(_keys_in(key)):
        return JSONResponse({"values": [], "more": False})
    found = drive(tag_values_like(inspector.store, key, typed, _COMPLETIONS))
    return JSONResponse({"values": [_as_typed(value) for value in found.values], "more": found.more})


def _as_typed(value: Any) -> str:
    """A value as `_typed` reads it."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return value
    return json.dumps(value, ensure_ascii=False)
