"""`ckptstore tags rebuild`."""

from __future__ import annotations

import click
from tqdm import tqdm

from ckptstore.cli.options import of_database, opened_store, words_for_errors
from ckptstore.runtime.steps import drive
from ckptstore.tags.keys import TagKeys


@click.group()
def tags() -> None:
    """Look after the index of metadata."""


@tags.command()
@of_database
@click.option("--include", multiple=True, default=("*",), show_default=True, help="A pattern of keys that become tags; several times.")
@click.option("--exclude", multiple=True, help="A pattern of keys that do not; several times.")
def rebuild(url: str, in_schema: str | None, include: tuple[str, ...], exclude: tuple[str, ...]) -> None:
    """Make all tags anew, after a change of a saver's tag_keys. Stop all writers first; savers with other keys are refused then."""
    with words_for_errors():
        tag_keys = TagKeys(include=include, exclude=exclude)
    with opened_store(url, in_schema, None, tag_keys) as store, tqdm(desc="threads", unit="", disable=None) as bar:

        def done(threads: int) -> None:
            bar.update(threads - bar.n)

        made = drive(store.rebuild_tags(done))
    click.echo(f"{made} tags")
