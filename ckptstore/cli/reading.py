"""What the commands that look into a store share: opening it, ids and filters as arguments, and the serialiser that decrypts."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, cast

import click

from ckptstore.cli.options import EXIT_INTERRUPTED, Command, json_filter
from ckptstore.cli.transfer import open_side
from ckptstore.errors import InvalidConfig
from ckptstore.inspection.unreadable import UNREADABLE, why_unreadable
from ckptstore.langgraph.config import require_text
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.langgraph.named_serialiser import load_serialiser
from ckptstore.langgraph.structure.reading import Decrypt, decrypting
from ckptstore.maintenance.reindex import stored_keys
from ckptstore.store.store import Store
from ckptstore.tags.filters import Filter
from ckptstore.tags.keys import EVERYTHING

logger = logging.getLogger(__name__)

#: Reads what a database says of its index, and then a filter.
FilterOf = Callable[[Store], Filter]


@contextmanager
def reading_store(url: str, in_schema: str | None, blob_url: str | None, *, read_only: bool = False) -> Iterator[Store]:
    """Open an existing database with its blobs where it remembers them; errors inside the block are printed without a traceback."""
    with open_side(url, in_schema, blob_url, read_only=read_only) as store:
        yield store


def shows_data(command: Command) -> Command:
    """Let a command that reads what may be anybody's end with a sentence, or with 130 where it was interrupted."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except KeyboardInterrupt:
            sys.exit(EXIT_INTERRUPTED)
        except UnicodeEncodeError as exc:
            message = f"this terminal can't print all of it ({exc.encoding}); set PYTHONIOENCODING=utf-8, or use --json"
            raise click.ClickException(message) from exc
        except UNREADABLE as exc:
            logger.info("a row can't be read", exc_info=True, extra={"event": "row_unreadable"})
            raise click.ClickException(why_unreadable(exc)) from exc

    return cast(Command, run)


def parse_id(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    """An id that a database can have; a usage error for another one."""
    if text is None:
        return None
    try:
        return require_text(text, "id")
    except InvalidConfig as exc:
        raise click.BadParameter(str(exc)) from exc


ns_option = click.option("--ns", "checkpoint_ns", callback=parse_id, help="Only this namespace of the thread; '' is the root graph's.")
serde_option = click.option("--serde", metavar="MODULE:OBJECT", help="The encrypting serialiser of the store, to decrypt its values.")


def parse_filter(_context: click.Context, _parameter: click.Parameter, text: str | None) -> FilterOf | None:
    """A metadata filter in JSON; a usage error if it is none."""
    if text is None:
        return None
    wanted = json_filter(text)

    def filter_of(store: Store) -> Filter:
        keys = store.runner.read(stored_keys).result() or EVERYTHING
        return Filter.parse(wanted, keys, unindexed_when_empty=LANGGRAPH.unindexed_when_empty)

    return filter_of


def decrypt_with(serde: str | None) -> Decrypt | None:
    """What `--serde` decrypts with; None without it.

    Raises:
        InvalidConfig: there is no such serialiser, or it does not encrypt.
    """
    if serde is None:
        return None
    decrypt = decrypting(load_serialiser(serde))
    if decrypt is None:
        raise InvalidConfig(f"{serde!r} does not encrypt; values are shown without a serialiser, so leave --serde out")
    return decrypt
