"""Arguments of the commands that look into a store."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from ckptstore.cli.reading import decrypt_with, parse_filter, parse_id, shows_data
from ckptstore.errors import InvalidConfig

CONTEXT = click.Context(click.Command("x"))
OPTION = click.Option(["--x"])


@pytest.mark.parametrize("text", ["a\0b", "\udcff"])
def test_an_id_that_no_database_can_have_is_a_usage_error(text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_id(CONTEXT, OPTION, text)


def test_an_id_is_taken_as_it_is() -> None:
    assert parse_id(CONTEXT, OPTION, " a:b|c ") == " a:b|c "
    assert parse_id(CONTEXT, OPTION, None) is None


def test_a_filter_is_json() -> None:
    assert parse_filter(CONTEXT, OPTION, None) is None
    assert parse_filter(CONTEXT, OPTION, "{}") is not None
    with pytest.raises(click.BadParameter, match="it is no JSON"):
        parse_filter(CONTEXT, OPTION, "{")


def test_a_serialiser_that_does_not_encrypt_is_refused() -> None:
    assert decrypt_with(None) is None
    assert decrypt_with("tests.support.serialisers:encrypting") is not None
    with pytest.raises(InvalidConfig, match="does not encrypt"):
        decrypt_with("tests.support.serialisers:Pickling")


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (UnicodeEncodeError("ascii", "x", 0, 1, "no"), 1, "this terminal can't print all of it (ascii)"),
        (TypeError("a bytes-like object is required"), 1, "a row of the database was altered and can't be read (TypeError)"),
        (click.UsageError("wrong"), 2, "wrong"),
    ],
)
def test_a_command_that_shows_data_ends_with_a_sentence(raised: BaseException, code: int, said: str) -> None:
    def command() -> None:
        raise raised

    done = CliRunner().invoke(click.command()(shows_data(command)))
    assert (done.exit_code, said in done.output) == (code, True)
