"""What the commands have in common: each runs some modules, which are called by their names, in one of several sizes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar

M = TypeVar("M")


def name_of(module: Any) -> str:
    """What a module is called on the command line."""
    return str(module.__name__).rpartition(".")[2]


def description_of(module: Any) -> str:
    """The first line of a module's docstring, without its full stop."""
    return (module.__doc__ or name_of(module)).strip().partition("\n")[0].removesuffix(".")


def parser(
    prog: str, description: str, noun: str, modules: Sequence[Any], sizes: Mapping[Any, str], normal: Enum
) -> argparse.ArgumentParser:
    """A command line with what both commands take.

    Args:
        prog: how the command is called.
        description: what it does, in a sentence.
        noun: what its modules are, in the singular.
        modules: those it knows.
        sizes: sizes that an option asks for -> what they are.
        normal: the size without such an option.
    """
    width = max(len(name_of(module)) for module in modules)
    listed = "\n".join(f"  {name_of(module):{width}}  {description_of(module)}" for module in modules)
    made = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=f"{noun}s, as they are at the normal size:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("names", nargs="*", metavar=noun.upper(), help="which (default: every one)")
    how_much = made.add_mutually_exclusive_group()
    for size, what in sizes.items():
        how_much.add_argument(f"--{size.name.lower()}", action="store_const", dest="size", const=size, help=what)
    made.set_defaults(size=normal)
    made.add_argument("--postgres", metavar="URL", help="a server where databases may be created, or 'none' (default: one of our own)")
    return made


def chosen(command: argparse.ArgumentParser, names: Sequence[str], noun: str, modules: Sequence[M]) -> list[M]:
    """The modules that were asked for, each once, or all; the command ends with an error where one is unknown."""
    known = {name_of(module): module for module in modules}
    if unknown := [name for name in names if name not in known]:
        command.error(f"unknown {noun} {unknown[0]!r}; known are {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)] or list(modules)
