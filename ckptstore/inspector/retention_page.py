"""What a retention policy would delete: a dry run, which changes nothing."""

from __future__ import annotations

import json
import shlex
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from ckptstore.errors import InvalidPolicy
from ckptstore.inspection.retention import dry_run
from ckptstore.inspector.checkpoint_page import attempt
from ckptstore.inspector.context import Inspector, inspector_of
from ckptstore.inspector.rendering import page, streamed
from ckptstore.maintenance.policy import RetentionPolicy, parse_age
from ckptstore.maintenance.reports import PruneReport
from ckptstore.runtime.steps import drive

_MAX_SECONDS = 20.0
#: Fields of the form -> options of `ckptstore prune`.
OPTIONS: Final = {"older_than": "--older-than", "keep_last": "--keep-last", "idle_for": "--idle-for", "keep_tag": "--keep-tag"}


def retention(request: Request) -> Response:
    """The form, and with a policy what it would delete."""
    inspector = inspector_of(request)
    given = {name: request.query_params.get(name, "").strip() for name in OPTIONS}
    context: dict[str, Any] = {"inspector": inspector, "place": "retention", "given": given, "problem": None, "command": None}
    try:
        policy = policy_of(given)
    except InvalidPolicy as exc:
        return page("retention.html", 400, read=None, **{**context, "problem": str(exc)})
    if policy is None:
        return page("retention.html", read=None, **context)
    context["command"] = _command(given)
    return streamed("retention.html", read=partial(attempt, partial(_report, inspector, policy)), **context)


def _report(inspector: Inspector, policy: RetentionPolicy) -> PruneReport:
    return drive(dry_run(inspector.store, policy, inspector.microseconds, _MAX_SECONDS))


def policy_of(given: dict[str, str]) -> RetentionPolicy | None:
    """The policy of the form's fields; None if all are empty.

    Raises:
        InvalidPolicy: a field can't be read.
    """
    options: dict[str, Any] = {}
    for field, name in (("older_than", "max_age"), ("idle_for", "thread_ttl")):
        if given[field]:
            options[name] = parse_age(OPTIONS[field], given[field])
    if given["keep_last"]:
        if not (given["keep_last"].isascii() and given["keep_last"].isdigit() and len(given["keep_last"]) < 10):
            raise InvalidPolicy(f"--keep-last is a whole number, got {given['keep_last'][:40]!r}")
        options["keep_last"] = int(given["keep_last"])
    if given["keep_tag"]:
        try:
            options["keep_tags"] = [json.loads(given["keep_tag"])]
        except (ValueError, RecursionError) as exc:
            raise InvalidPolicy(f'--keep-tag is no JSON ({exc}); write a metadata filter such as {{"user_id": "ann"}}') from exc
    return RetentionPolicy(**options) if options else None


def _command(given: dict[str, str]) -> str:
    """The command that deletes it, for a shell."""
    parts = [f"{OPTIONS[name]} {shlex.quote(value)}" for name, value in given.items() if value]
    return " ".join(["ckptstore prune", *parts])
