"""The pages of the site that are made when it is built: mkdocs-gen-files runs this (`make docs`).

The schema comes from the models, the list of modules from their docstrings, and the command line, the saver and its settings from
mkdocs-click and mkdocstrings.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import mkdocs_gen_files
from sqlalchemy import Table

from ckptstore.models import Base

ROOT = Path(__file__).parent.parent
REPOSITORY = "https://github.com/ckptstore/ckptstore/blob/main/"

REFERENCE = {
    "saver": (
        "The saver",
        ["ckptstore.SQLAlchemySaver", "ckptstore.SaverOptions", "ckptstore.ThreadLease", "ckptstore.SizeLimitedCheckpointer"],
    ),
    "settings": (
        "Settings",
        [
            "ckptstore.DatabaseSettings",
            "ckptstore.BlobSettings",
            "ckptstore.SizeLimits",
            "ckptstore.TagKeys",
            "ckptstore.RetentionPolicy",
            "ckptstore.MonitoringSettings",
        ],
    ),
    "models": ("Models and queries", ["ckptstore.models", "ckptstore.queries", "ckptstore.schema"]),
    "exceptions": ("Exceptions", ["ckptstore.errors"]),
}


def write(path: str, text: str) -> None:
    with mkdocs_gen_files.open(path, "w") as page:
        page.write(text)


def moved(name: str) -> str:
    """A page from the root of the checkout, whose links go to the site's pages or to the repository."""
    text = (ROOT / name).read_text()
    return text.replace("](docs/", "](").replace("](ckptstore/", f"]({REPOSITORY}ckptstore/").replace("](SECURITY.md)", "](security.md)")


def modules() -> Iterator[str]:
    """A heading for each package, and a line for each of its modules: its name and the first sentence of its docstring."""
    package = ""
    for path in sorted((ROOT / "ckptstore").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        sentence = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")[0].replace("\n", " ")
        if (top := ".".join(name.split(".")[:2])) != package and path.name == "__init__.py":
            package = top
            yield f"\n## {name}\n\n{sentence}\n"
        elif sentence:
            yield f"- [`{name}`]({REPOSITORY}{path.relative_to(ROOT)}): {sentence}"


def schema(table: Table) -> Iterator[str]:
    """A table of the database: its columns and indexes."""
    yield f"\n## {table.name}\n\n{table.comment or ''}\n"
    yield "| column | type | null | key |\n|---|---|---|---|"
    for column in table.columns:
        yield f"| `{column.name}` | {column.type} | {'yes' if column.nullable else ''} | {'primary' if column.primary_key else ''} |"
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        yield f"\nIndex `{index.name}`: {', '.join(f'`{part}`' for part in index.expressions)}"


for page, (title, names) in REFERENCE.items():
    write(f"reference/{page}.md", f"# {title}\n\n" + "\n\n".join(f"::: {name}" for name in names) + "\n")
write(
    "reference/command-line.md",
    "# Command line\n\n::: mkdocs-click\n    :module: ckptstore.cli\n    :command: main\n    :prog_name: ckptstore\n    :depth: 1\n",
)
write("reference/modules.md", "# Modules\n" + "\n".join(modules()) + "\n")
write(
    "reference/schema.md",
    "# Schema\n\nThe newest revision, from the models. Types are SQLAlchemy's.\n"
    + "\n".join(line for table in Base.metadata.sorted_tables for line in schema(table))
    + "\n",
)
decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
titles = [(path.name, path.read_text().partition("\n")[0].removeprefix("# ")) for path in decisions]
write(
    "reference/decisions.md",
    "# Decisions\n\nWhat was measured before the code became less simple.\n\n"
    + "\n".join(f"- [{title}](../decisions/{name})" for name, title in titles)
    + "\n",
)
write("security.md", moved("SECURITY.md"))
write("changelog.md", moved("CHANGELOG.md"))
