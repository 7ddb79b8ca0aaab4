"""`ckptstore inspect`: the store as pages in a browser."""

from __future__ import annotations

import sys

import click
from sqlalchemy import URL

from ckptstore.cli.options import errors_as_messages, store_options
from ckptstore.cli.reading import decrypt_with, reading_store, serde_option, shows_data
from ckptstore.db.secrets import masked
from ckptstore.inspector.addresses import DEFAULT_PORT, LOOPBACK, listen
from ckptstore.langgraph.structure.redaction import Redaction


@click.command()
@store_options
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="The port; 0 for one that is free.")
@click.option("--host", default=LOOPBACK, show_default=True, help="The address to listen on; another one needs --allow-remote.")
@click.option("--allow-remote", is_flag=True, help="Let other machines reach it. There is no encryption: put a proxy with TLS before it.")
@click.option("--redact", "patterns", metavar="PATTERN", multiple=True, help="Hide the values of keys like this: '*token*'. Repeatable.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@serde_option
@shows_data
def inspect(
    url: str,
    in_schema: str | None,
    blob_url: str | None,
    port: int,
    host: str,
    allow_remote: bool,
    patterns: tuple[str, ...],
    no_browser: bool,
    serde: str | None,
) -> None:
    """Show the store in a browser: threads, their trees and states, differences, space, and what retention would delete.

    The database is opened for reading only. Whoever has the address that is printed, with its token, sees everything in it. Ctrl-C ends it.
    """
    try:
        from ckptstore.inspector import guard, server
        from ckptstore.inspector.context import Inspector
        from ckptstore.inspector.store_options import store_options as options_of
    except ImportError as exc:
        raise click.ClickException(
            f"the inspector needs starlette, uvicorn and jinja2 ({exc.name} is missing): pip install 'ckptstore[inspect]'"
        ) from exc
    with errors_as_messages():
        listening = listen(host, port, allow_remote=allow_remote)
    with listening, reading_store(url, in_schema, blob_url, read_only=True) as store:
        options = options_of(store.runner.url, in_schema, store.objects.location.url)
        inspector = Inspector(store, _name_of(store.runner.url), decrypt_with(serde), Redaction(patterns), options)
        access = guard.Access()
        click.echo(f"inspecting {inspector.name}, read only; Ctrl-C ends it")
        click.echo(f"  {server.url_of(listening, host, access)}")
        sys.stdout.flush()
        server.serve(inspector, listening, host, access, allow_remote=allow_remote, browser=not no_browser)


def _name_of(url: URL) -> str:
    """What the pages call a store: the path of its file, or its URL without the driver and secrets."""
    return str(url.database) if url.get_backend_name() == "sqlite" else masked(url.set(drivername=url.get_backend_name()))
