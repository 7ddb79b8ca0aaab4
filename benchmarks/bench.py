"""What a section gets, and how it takes its laps."""

from __future__ import annotations

import enum
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from benchmarks.contenders import Contender
from benchmarks.report import Table

T = TypeVar("T")


class Scale(enum.Enum):
    """How much of everything a run measures."""

    #: Everything tiny, to see that it works; the figures mean nothing.
    SMOKE = "smoke"
    #: Small enough for a run of a few minutes; the figures show what is faster, not by how much.
    QUICK = "quick"
    #: What the README's figures are from.
    NORMAL = "normal"
    #: Normal, and tables as large as in production, which take long to fill.
    FULL = "full"


@dataclass(frozen=True)
class Bench:
    """One run: who takes part, and how much of it.

    Args:
        contenders: those whose packages and database are there.
        laps: how often each contender is measured; medians are printed.
        scale: how much each section measures.
        verbose: every lap, and where the bytes are.
        results: the folder where figures go as JSON, and charts; None for nowhere.
    """

    contenders: Sequence[Contender]
    laps: int
    scale: Scale
    verbose: bool
    results: Path | None = None

    def size(self, normal: int, smoke: int, *, quick: int | None = None, full: int | None = None) -> int:
        """A number of turns, puts or bytes.

        Args:
            normal: at the normal scale.
            smoke: when everything is tiny.
            quick: in a quick run; None for a tenth of `normal`, and no less than `smoke`.
            full: in a full run; None for as many as normal.
        """
        by_scale = {
            Scale.SMOKE: smoke,
            Scale.QUICK: max(normal // 10, smoke) if quick is None else quick,
            Scale.NORMAL: normal,
            Scale.FULL: normal if full is None else full,
        }
        return by_scale[self.scale]

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
