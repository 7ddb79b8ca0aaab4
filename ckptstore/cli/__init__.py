"""The command line: `ckptstore --help` lists the commands."""

from __future__ import annotations

import logging

import click

from ckptstore.cli.backup import backup, restore
from ckptstore.cli.blobs import blobs as blob_commands
from ckptstore.cli.check import check
from ckptstore.cli.copy import copy
from ckptstore.cli.doctor import doctor
from ckptstore.cli.import_threads import import_
from ckptstore.cli.inspect import inspect
from ckptstore.cli.move import move
from ckptstore.cli.reencrypt import reencrypt
from ckptstore.cli.revisions import downgrade, revision, upgrade
from ckptstore.cli.space import prune, vacuum
from ckptstore.cli.stats import stats
from ckptstore.cli.tags import tags as tag_commands
from ckptstore.cli.threads import threads


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ckptstore")
@click.option("-v", "--verbose", is_flag=True, help="Print log messages while the command runs.")
def main(verbose: bool) -> None:
    """Look into a ckptstore database, and maintain it and its blobs.

    Commands exit with 0 when they are done, with 1 after an error or a failed check, with 2 for a wrong option or argument, and with 130
    when they were interrupted.
    """
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")


for command in (
    upgrade,
    downgrade,
    revision,
    prune,
    vacuum,
    threads,
    stats,
    check,
    doctor,
    inspect,
    copy,
    import_,
    move,
    backup,
    restore,
    blob_commands,
    tag_commands,
    reencrypt,
):
    main.add_command(command)
