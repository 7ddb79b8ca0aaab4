"""What a section gets, and how it takes its laps."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from benchmarks.contenders import Contender
from benchmarks.report import Table

T = TypeVar("T")


@dataclass(frozen=True)
class Bench:
    """One run: who takes part, and how much of it.

    Args:
        contenders: those whose packages and database are there.
        laps: how often each contender is measured; medians are printed.
        quick: everything tiny, to see that it works; the figures mean nothing.
        verbose: every lap, and where the bytes are.
        full: tables as large as in production, which take long to fill.
        charts: the folder where charts are drawn; None for none.
    """

    contenders: Sequence[Contender]
    laps: int
    quick: bool
    verbose: bool
    full: bool = False
    charts: Path | None = None

    def size(self, full: int, quick: int) -> int:
        """A number of turns, puts or bytes."""
        return quick if self.quick else full

    def among(self, contenders: Sequence[Contender]) -> Bench:
        """The same run for these contenders."""
        return replace(self, contenders=contenders)

    def table(self, title: str) -> Table:
        """A table with a column for each contender."""
        return Table(title, [contender.name for contender in self.contenders], self.verbose)

    async def interleaved(self, measure: Callable[[Contender], Awaitable[T]]) -> dict[str, list[T]]:
        """Lap 1 of every contender, then lap 2 of every contender: a machine that slows down slows down all of them.

        Returns:
            What `measure` returned, by the contender's name, a lap each.
        """
        results: dict[str, list[T]] = {contender.name: [] for contender in self.contenders}
        for _ in range(self.laps):
            for contender in self.contenders:
                # Nobody pays for what the one before left behind.
                gc.collect()
                results[contender.name].append(await measure(contender))
        return results

    @asynccontextmanager
    async def all_open(self) -> AsyncIterator[None]:
        """Every contender open on a fresh database at once, for laps that share what was stored before them."""
        async with AsyncExitStack() as stack:
            for contender in self.contenders:
                await stack.enter_async_context(contender)
            yield


class Section(Protocol):
    """A module of `benchmarks.sections`: the first line of its docstring is its title."""

    __name__: str
    __doc__: str | None

    async def run(self, bench: Bench) -> list[Table]:
        """Measure."""
        ...
