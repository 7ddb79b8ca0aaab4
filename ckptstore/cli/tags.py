"""`ckptstore tags rebuild`."""

from __future__ import annotations

import click
from tqdm import tqdm

from ckptstore.cli.options import database_options, errors_as_messages, open_store
from ckptstore.langgraph.structure.as_text import plural
from ckptstore.runtime.steps import drive
from ckptstore.tags.keys import TagKeys


@click.group()
def tags() -> None:
    """Maintain the index of metadata."""


@tags.command()
@database_options
@click.option("--include", multiple=True, default=("*",), show_default=True, help="A pattern of metadata keys to index. Repeatable.")
@click.option("--exclude", multiple=True, help="A pattern of metadata keys not to index. Repeatable.")
def rebuild(url: str, in_schema: str | None, include: tuple[str, ...], exclude: tuple[str, ...]) -> None:
    """Rebuild the index of metadata after the tag_keys of your savers changed.

    Stop all writers first. Afterwards savers with other tag_keys refuse to start.
    """
    with errors_as_messages():
        tag_keys = TagKeys(include=include, exclude=exclude)
    with open_store(url, in_schema, None, tag_keys) as store, tqdm(desc="threads", unit="", disable=None) as bar:

        def show(threads: int) -> None:
            bar.update(threads - bar.n)

        count = drive(store.rebuild_tags(show))
    click.echo(f"{plural(count, 'tag')}")
