"""Prepare a release: `python scripts/release.py 0.2.0` in a clean checkout of main.

Sets the version in pyproject.toml, gives the changelog's "Unreleased" its number and date, runs `make lint`, builds the sdist and
the wheel into `dist/`, checks them with twine, installs the wheel into an empty environment, and makes the commit and the tag. Nothing is
pushed or uploaded: the last lines say how.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import venv
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
UNRELEASED = "## Unreleased"


def run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout


def with_version(project: str, version: str) -> str:
    """The text of pyproject.toml with another version."""
    changed, count = re.subn(r'^version = ".*"$', f'version = "{version}"', project, count=1, flags=re.MULTILINE)
    if count != 1:
        raise SystemExit("pyproject.toml has no line that begins with `version = `")
    return changed


def dated(changelog: str, version: str, today: date) -> str:
    """The changelog with its unreleased entries under a version and a date, and an empty section for the next ones."""
    if changelog.count(UNRELEASED) != 1:
        raise SystemExit(f"CHANGELOG.md needs exactly one section {UNRELEASED!r} with what the release brings")
    return changelog.replace(UNRELEASED, f"{UNRELEASED}\n\n## {version} - {today.isoformat()}")


def check_state(version: str) -> None:
    """Refuse a version of another form, changes that are not committed, and a version that was released."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise SystemExit(f"{version!r} is not of the form 1.2.3")
    if run("git", "status", "--porcelain"):
        raise SystemExit("the checkout has changes that are not committed")
    if run("git", "tag", "--list", f"v{version}"):
        raise SystemExit(f"v{version} exists; choose the next version")


def build() -> list[Path]:
    """The sdist and the wheel, checked, the wheel also by its command in an environment with nothing else."""
    folder = ROOT / "dist"
    run(sys.executable, "-m", "hatchling", "build", "-d", str(folder), "--clean")
    built = sorted(folder.iterdir())
    run(sys.executable, "-m", "twine", "check", "--strict", *map(str, built))
    with tempfile.TemporaryDirectory() as empty:
        venv.create(empty, with_pip=True)
        (wheel,) = folder.glob("*.whl")
        run(f"{empty}/bin/pip", "install", "--quiet", str(wheel))
        run(f"{empty}/bin/ckptstore", "--version")
    return built


def main(version: str) -> None:
    check_state(version)
    for name, change in (
        ("pyproject.toml", lambda text: with_version(text, version)),
        ("CHANGELOG.md", lambda text: dated(text, version, datetime.now(UTC).date())),
    ):
        path = ROOT / name
        path.write_text(change(path.read_text()))
    run("make", "lint")
    built = build()
    run("git", "commit", "--all", "--message", f"Release {version}")
    run("git", "tag", "--annotate", f"v{version}", "--message", f"ckptstore {version}")
    print(*(path.relative_to(ROOT) for path in built), sep="\n")
    print(f"Now: git push origin main v{version}; twine upload {' '.join(f'dist/{path.name}' for path in built)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="of the form 1.2.3, for which there is no tag")
    main(parser.parse_args().version)
