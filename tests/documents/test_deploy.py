"""The examples for Docker and Kubernetes: their files have the form that these demand, and their commands exist.

Neither is run: tests have no Docker and no cluster. What stands in their place here is a schema of each kind of object, strict about the
fields that the examples use, so that a field with a typing error or at the wrong depth is found; references between objects; and each
command parsed by our own command line, with its options. The Compose file was also checked against the schema of the Compose
specification (2026-06).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml

from ckptstore.cli import main
from tests.support.documents import CHECKOUT

DEPLOY = CHECKOUT / "examples" / "deploy"

Schema = dict[str, Any]
TEXT: Schema = {"type": "string", "minLength": 1}
TEXTS: Schema = {"type": "array", "items": TEXT, "minItems": 1}
TEXT_BY_NAME: Schema = {"type": "object", "additionalProperties": {"type": "string"}}


def strict(required: Schema, **optional: Schema) -> Schema:
    """An object with these fields and no others."""
    return {"type": "object", "properties": {**required, **optional}, "required": list(required), "additionalProperties": False}


CONDITION: Schema = {"enum": ["service_started", "service_healthy", "service_completed_successfully"]}
SERVICE = {
    **strict(
        {},
        image={"type": "string", "pattern": r"^[\w./-]+:[\w.-]+$"},
        build=strict({"context": TEXT, "dockerfile": TEXT}),
        command={"anyOf": [TEXT, TEXTS]},
        entrypoint=TEXTS,
        environment=TEXT_BY_NAME,
        # Only this machine reaches them.
        ports={"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
        volumes=TEXTS,
        healthcheck=strict({"test": TEXTS}, interval=TEXT, retries={"type": "integer"}),
        depends_on={"anyOf": [TEXTS, {"type": "object", "additionalProperties": strict({"condition": CONDITION})}]},
    ),
    "oneOf": [{"required": ["image"]}, {"required": ["build"]}],
}
COMPOSE = {
    **strict({"name": TEXT, "services": {"type": "object", "additionalProperties": SERVICE}}, volumes={"type": "object"}),
    "patternProperties": {"^x-": {}},
}

CONTAINER = strict(
    {
        "name": TEXT,
        "image": TEXT,
        "command": TEXTS,
        "envFrom": {"type": "array", "items": strict({"secretRef": strict({"name": {"const": "ckptstore"}})})},
    }
)
POD = strict({"restartPolicy": {"enum": ["Never", "OnFailure"]}, "containers": {"type": "array", "items": CONTAINER, "minItems": 1}})
JOB = strict({"template": strict({"spec": POD})}, backoffLimit={"type": "integer"})
SCHEDULE: Schema = {"type": "string", "pattern": r"^(\S+ ){4}\S+$"}
CRON_JOB = strict({"schedule": SCHEDULE, "concurrencyPolicy": {"const": "Forbid"}, "jobTemplate": strict({"spec": JOB})})
METADATA = strict({"name": {"type": "string", "pattern": "^[a-z0-9-]{1,52}$"}})
KINDS = {
    "Secret": strict({"apiVersion": {"const": "v1"}, "kind": TEXT, "metadata": METADATA, "stringData": TEXT_BY_NAME}),
    "Job": strict({"apiVersion": {"const": "batch/v1"}, "kind": TEXT, "metadata": METADATA, "spec": JOB}),
    "CronJob": strict({"apiVersion": {"const": "batch/v1"}, "kind": TEXT, "metadata": METADATA, "spec": CRON_JOB}),
}


def commands() -> Iterator[tuple[str, list[str]]]:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        if "build" in service:
            yield name, service["command"]
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            for container in containers(document):
                assert container["command"][0] == "ckptstore"
                yield container["name"], container["command"][1:]


def containers(document: Any) -> list[Any]:
    """The containers of a Job or a CronJob; none of another kind."""
    spec = document.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    found: list[Any] = spec.get("template", {}).get("spec", {}).get("containers", [])
    return found


def test_the_compose_file_has_the_form_of_one() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    jsonschema.validate(compose, COMPOSE)
    for service in compose["services"].values():
        assert set(service.get("depends_on", ())) <= compose["services"].keys()
        assert {volume.partition(":")[0] for volume in service.get("volumes", ())} <= compose["volumes"].keys()
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).samefile(DEPLOY / "Dockerfile")


@pytest.mark.parametrize("path", sorted((DEPLOY / "kubernetes").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_manifest_has_the_form_of_its_kind(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        jsonschema.validate(document, KINDS[document["kind"]])


def test_a_field_with_a_typing_error_is_found() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    compose["services"]["pgbouncer"]["prots"] = compose["services"]["pgbouncer"].pop("ports")
    with pytest.raises(jsonschema.ValidationError, match="prots"):
        jsonschema.validate(compose, COMPOSE)


@pytest.mark.parametrize(("name", "words"), list(commands()))
def test_a_command_can_be_parsed(name: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKPTSTORE_DATABASE_URL", "checkpoints.sqlite")
    parsed: list[str | None] = []
    monkeypatch.setattr(click.Command, "invoke", lambda command, _context: parsed.append(command.name))
    main.main(list(words), "ckptstore", standalone_mode=False)
    assert len(parsed) > 1, (name, words)
    assert parsed[-1] in words


def test_every_example_is_looked_at() -> None:
    assert [name for name, _ in commands()] == ["upgrade", "inspector", "upgrade", "prune", "verify"]
    assert (DEPLOY / "Dockerfile").read_text().splitlines()[-1] == 'ENTRYPOINT ["ckptstore"]'


def test_secrets_are_the_variables_that_the_command_reads() -> None:
    (secret,) = yaml.safe_load_all(Path(DEPLOY / "kubernetes" / "secret.yaml").read_text())
    assert secret["stringData"].keys() == {"CKPTSTORE_DATABASE_URL", "CKPTSTORE_BLOB_URL"}
