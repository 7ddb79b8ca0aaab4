"""The commands of the examples for Docker and Kubernetes exist, with the options that they are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from ckptstore.cli import main
from tests.support.documents import CHECKOUT

DEPLOY = CHECKOUT / "examples" / "deploy"


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
