"""The page about the architecture names packages and modules that exist."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path

from tests.support.documents import CHECKOUT

PACKAGE = CHECKOUT / "ckptstore"
PAGE = (CHECKOUT / "docs" / "architecture.md").read_text()


def rows() -> list[list[str]]:
    table = PAGE.partition("| package | what it is for | open first |\n")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def test_every_package_has_a_row() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    listed = {name for cells in rows() for name in names(cells[0])}
    # A hook for bundles, of which the text above the table speaks.
    assert packages - {"pyinstaller"} == listed - {"queries", "records", "errors", "handles"}


def test_what_to_open_first_exists() -> None:
    for package, _, first in rows():
        folder = PACKAGE / names(package)[0]
        modules = {path.stem for path in folder.rglob("*.py")}
        assert set(names(first)) <= modules, package


def test_every_name_exists() -> None:
    modules = [*PACKAGE.rglob("*.py"), *(CHECKOUT / "migrations").rglob("*.py")]
    words = set(re.findall(r"\w+", "\n".join(path.read_text() for path in modules)))
    words |= {path.stem for path in modules} | {path.name for path in PACKAGE.rglob("*") if path.is_dir()}
    drawings = "\n".join(path.read_text() for path in (CHECKOUT / "docs" / "diagrams").glob("*.mmd"))
    written = re.findall(r"`([A-Za-z_][\w.]*)`", PAGE) + re.findall(r"\b[a-z_]+\.[a-z_]+\b", drawings)
    assert {name for name in written if not words.issuperset(name.split("."))} == set()
    paths = re.findall(r"`([\w.]+(?:/[\w.]+)+)`", PAGE)
    assert [path for path in paths if not (PACKAGE / path).exists() and not (CHECKOUT / path).exists()] == []


def test_every_layer_is_drawn() -> None:
    drawn = (CHECKOUT / "docs" / "diagrams" / "packages.mmd").read_text()
    assert all(name in drawn for cells in rows() for name in names(cells[0]) if name != "handles")


def test_every_module_says_what_it_does() -> None:
    silent = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" and not path.read_text().startswith('"""')]
    assert silent == [Path(PACKAGE / "pyinstaller" / "hook-ckptstore.py")] or silent == []


def layers() -> list[set[str]]:
    """The layers of `make lint`, from above, each with its packages and modules."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    (contract,) = [each for each in project["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    return [set(layer.split(" | ")) for layer in contract["layers"]]


def test_arrows_lead_from_each_layer_to_the_next() -> None:
    drawing = (CHECKOUT / "docs" / "diagrams" / "packages.mmd").read_text()
    drawn = {name: set(label.split(" · ")) for name, label in re.findall(r'^ +(\w+)\["([^<]+)<br/>', drawing, re.MULTILINE)}
    level = {name: number for number, names in enumerate(layers()) for name in names}
    of_box = {box: level[min(names)] for box, names in drawn.items()}
    arrows = [line.split("-->") for line in drawing.splitlines() if "-->" in line]
    pairs = [pair for chain in arrows for pair in itertools.pairwise(chain)]
    steps = {(of_box[start.strip()], of_box[end.strip()]) for left, right in pairs for start in left.split("&") for end in right.split("&")}
    assert all(level[name] == of_box[box] for box, names in drawn.items() for name in names), "a box is one layer, or a part of one"
    assert steps == {(number, number + 1) for number in range(len(layers()) - 1)}
