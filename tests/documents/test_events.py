"""docs/events.md lists the events of the log, with their levels, loggers and fields as they are in the code, and no others."""

from __future__ import annotations

import ast
import logging
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path

import pytest

from ckptstore.maintenance.reports import PruneReport, ReencryptReport, VacuumReport, VerifyReport
from ckptstore.transfer.report import TransferReport
from tests.support.documents import CHECKOUT

PAGE = CHECKOUT / "docs" / "events.md"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def names_of(report: type) -> set[str]:
    return {each.name for each in fields(report)}


# Events that have all the fields of a report: `**report` is not spelled out in the code.
REPORTED = {
    "erased": {"threads", "checkpoints", "objects"},
    "pruned": names_of(PruneReport),
    "reencrypted": names_of(ReencryptReport),
    "transferred": names_of(TransferReport) - {"skipped_threads", "missing_threads", "failed_threads"},
    "vacuumed": set(VacuumReport._fields),
    "verified": names_of(VerifyReport),
}
# Helpers that are given the logger of the module that calls them.
FOREIGN_LOGGER = {"ckptstore.blobs.backends.transfer_log": {"ckptstore.blobs.backends.local", "ckptstore.blobs.backends.fsspec_backend"}}
# The level is the result of `_level` in db/schema_events.py.
LEVELS = {"schema_changed": {"DEBUG", "INFO"}, "schema_change_started": {"DEBUG", "INFO"}}


@dataclass
class Event:
    """What one event has, at all of its places."""

    levels: set[str] = field(default_factory=set)
    loggers: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)


@dataclass
class Module:
    """A module of ckptstore, and which function each of its nodes is in."""

    name: str
    tree: ast.Module
    function_of: dict[ast.AST, Function] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # From outside in: of nested functions, the innermost remains.
        for function in (node for node in ast.walk(self.tree) if isinstance(node, Function)):
            self.function_of |= dict.fromkeys(ast.walk(function), function)


@cache
def modules() -> list[Module]:
    paths = sorted((CHECKOUT / "ckptstore").rglob("*.py"))
    return [Module(module_name(path), ast.parse(path.read_text())) for path in paths]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")


def keys_of(node: ast.Dict) -> set[str]:
    """The keys that are written in a dict; not those of `**another`."""
    return {str(key.value) for key in node.keys if isinstance(key, ast.Constant)}


def sites() -> Iterator[tuple[Module, ast.Dict, ast.expr]]:
    """Each dict with a key `event`, and the expression of its name."""
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "event":
                        yield module, node, value


def logging_call(function: Function, found: ast.Dict) -> tuple[ast.Call, set[str]]:
    """The call that logs a dict, as an argument or by a variable, and the fields that are added to this variable."""
    variable, more = None, set[str]()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and node.value is found and isinstance(node.targets[0], ast.Name):
            variable = node.targets[0].id
    for node in ast.walk(function):
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == variable:
            assert isinstance(node.value, ast.Dict), f"write out which fields are added: {ast.unparse(node)}"
            more |= keys_of(node.value)
    for node in ast.walk(function):
        extra = next((each.value for each in node.keywords if each.arg == "extra"), None) if isinstance(node, ast.Call) else None
        if extra is found or (isinstance(extra, ast.Name) and extra.id == variable):
            assert isinstance(node, ast.Call)
            return node, more
    raise AssertionError(f"an event that is not logged: {ast.unparse(found)}")


@cache
def calls() -> dict[str, list[tuple[str, ast.Call]]]:
    """All calls of a function by its name or as a method of `self`, with the names of their modules."""
    found = defaultdict(list)
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                found[ast.unparse(node.func).removeprefix("self.")].append((module.name, node))
    return found


def calls_of(module: Module, function: Function) -> list[ast.Call]:
    """The calls of a function: of a private one, those in its own module."""
    return [call for caller, call in calls()[function.name] if caller == module.name or not function.name.startswith("_")]


def names(module: Module, function: Function, expression: ast.expr) -> Iterator[tuple[str, set[str]]]:
    """The names that an event may have, and the levels that the callers give; a name that is a parameter is what the callers pass."""
    if isinstance(expression, ast.Constant):
        yield str(expression.value), set()
        return
    parameters = [each.arg for each in function.args.args if each.arg != "self"]
    position = parameters.index(ast.unparse(expression))
    for call in calls_of(module, function):
        name = call.args[position]
        assert isinstance(name, ast.Constant), f"an event's name that is computed: {ast.unparse(call)}"
        yield str(name.value), set().union(*(levels_in(argument) for argument in call.args))


def levels_in(expression: ast.expr) -> set[str]:
    return set(re.findall(r"\blogging\.([A-Z]+)\b", ast.unparse(expression)))


def levels_of(call: ast.Call) -> set[str]:
    assert isinstance(call.func, ast.Attribute)
    if call.func.attr == "log":
        return levels_in(call.args[0])
    return {"ERROR" if call.func.attr == "exception" else call.func.attr.upper()}


@pytest.fixture(scope="module")
def in_code() -> dict[str, Event]:
    events: defaultdict[str, Event] = defaultdict(Event)
    for module, found, expression in sites():
        function = module.function_of[found]
        call, more = logging_call(function, found)
        for name, given in names(module, function, expression):
            event = events[name]
            event.levels |= levels_of(call) | given | LEVELS.get(name, set())
            event.loggers |= FOREIGN_LOGGER.get(module.name, {module.name})
            event.fields |= (keys_of(found) | more | (REPORTED[name] if None in found.keys else set())) - {"event"}
    return dict(events)


@pytest.fixture(scope="module")
def on_page() -> dict[str, Event]:
    events = {}
    for line in PAGE.read_text().splitlines():
        if line.startswith("| `"):
            name, level, logger, _when, listed = [cell.strip() for cell in line.strip("|").split("|")]
            assert name.strip("`") not in events, f"{name} is listed twice"
            events[name.strip("`")] = Event(
                set(re.findall(r"[A-Z]{4,}", level)), {f"ckptstore.{each}" for each in quoted(logger)}, set(quoted(listed))
            )
    return events


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_page_and_the_code_have_the_same_events(in_code: dict[str, Event], on_page: dict[str, Event]) -> None:
    assert sorted(on_page) == sorted(in_code)


def test_the_table_is_sorted_by_name(on_page: dict[str, Event]) -> None:
    assert list(on_page) == sorted(on_page)


@pytest.mark.parametrize("part", ["levels", "loggers", "fields"])
def test_the_page_says_of_each_event_what_the_code_says(part: str, in_code: dict[str, Event], on_page: dict[str, Event]) -> None:
    both = in_code.keys() & on_page.keys()
    assert {name: getattr(on_page[name], part) for name in both} == {name: getattr(in_code[name], part) for name in both}


def test_every_event_has_a_level_that_exists(in_code: dict[str, Event]) -> None:
    known = logging.getLevelNamesMapping()
    assert [name for name, event in in_code.items() if not event.levels or not event.levels <= known.keys()] == []


def test_no_field_is_an_attribute_of_every_record(in_code: dict[str, Event]) -> None:
    # `extra` with one of them raises KeyError when the event is logged.
    taken = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}
    assert {name: event.fields & taken for name, event in in_code.items() if event.fields & taken} == {}


def test_reports_are_listed_of_events_that_have_them() -> None:
    reported = {value.value for _module, found, value in sites() if isinstance(value, ast.Constant) and None in found.keys}
    assert reported == REPORTED.keys()
