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
from ckptstore.inspector.store_options import FROM_ENVIRONMENT
from ckptstore.maintenance.policy import RetentionPolicy, parse_age, with_names
from ckptstore.maintenance.reports import PruneReport
from ckptstore.runtime.steps import drive

_MAX_SECONDS = 20.0
#: Fields of the form -> what is written beside them.
LABELS: Final = {
    "older_than": "Older than",
    "keep_last": "Keep the newest",
    "idle_for": "Threads idle for",
    "keep_tag": "Keep those with tags (JSON)",
}
_IN_POLICY = {"older_than": "max_age", "keep_last": "keep_last", "idle_for": "thread_ttl", "keep_tag": "keep_tags"}
_LABELS_OF_POLICY = {name: f'"{LABELS[field]}"' for field, name in _IN_POLICY.items()}
#: Fields of the form -> options of `ckptstore prune`.
OPTIONS: Final = {"older_than": "--older-than", "keep_last": "--keep-last", "idle_for": "--idle-for", "keep_tag": "--keep-tag"}


def retention(request: Request) -> Response:
    """The form, and with a policy what it would delete."""
    inspector = inspector_of(request)
    given = {name: request.query_params.get(name, "").strip() for name in OPTIONS}
    context: dict[str, Any] = {"inspector": inspector, "place": "retention", "given": given, "labels": LABELS, "problem": None}
    try:
        policy = policy_of(given)
    except InvalidPolicy as exc:
        return page("retention.html", 400, read=None, **{**context, "problem": with_names(exc, _LABELS_OF_POLICY)})
    if policy is None:
        return page("retention.html", read=None, **context)
    context |= {"command": _command(given, inspector.options), "has_secret": inspector.options.startswith(FROM_ENVIRONMENT)}
    return streamed("retention.html", read=partial(attempt, partial(_report, inspector, policy)), **context)


def _report(inspector: Inspector, policy: RetentionPolicy) -> PruneReport:
    return drive(dry_run(inspector.store, policy, inspector.microseconds, _MAX_SECONDS))


def policy_of(given: dict[str, str]) -> RetentionPolicy | None:
    """The policy of the form's fields; None if all are empty.

    Raises:
        InvalidPolicy: a field can't be read; its message has the names of `RetentionPolicy`.
    """
    options: dict[str, Any] = {}
    for field in ("older_than", "idle_for"):
        if given[field]:
            options[_IN_POLICY[field]] = parse_age(_IN_POLICY[field], given[field])
    if given["keep_last"]:
        if not (given["keep_last"].isascii() and given["keep_last"].isdigit() and len(given["keep_last"]) < 10):
            raise InvalidPolicy(f"keep_last must be a whole number, got {given['keep_last'][:40]!r}")
        options["keep_last"] = int(given["keep_last"])
    if given["keep_tag"]:
        try:
            options["keep_tags"] = [json.loads(given["keep_tag"])]
        except (ValueError, RecursionError) as exc:
            raise InvalidPolicy(f'keep_tags must be JSON ({exc}); write a metadata filter such as {{"user_id": "ann"}}') from exc
    return RetentionPolicy(**options) if options else None


def _command(given: dict[str, str], of_store: str) -> str:
    """The command that deletes it, for a shell."""
    parts = [f"{OPTIONS[name]} {shlex.quote(value)}" for name, value in given.items() if value]
    return " ".join(["ckptstore prune", of_store, *parts])
