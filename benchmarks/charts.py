"""Charts for the README, drawn where matplotlib is installed (`make bench` installs it)."""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

Points = Sequence[tuple[float, float]]


def medians(laps: Mapping[int, Mapping[str, Sequence[float | None]]]) -> dict[str, Points]:
    """A line for each contender through the medians of its laps.

    Args:
        laps: by x, then by contender; where one was not measured, its line has no point.
    """
    lines: dict[str, list[tuple[float, float]]] = {}
    for x, by_name in laps.items():
        for name, each in by_name.items():
            if seen := [lap for lap in each if lap is not None]:
                lines.setdefault(name, []).append((x, statistics.median(seen)))
    return dict(lines)


def draw_lines(path: Path, title: str, axes: tuple[str, str], series: Mapping[str, Points], logarithmic: str = "") -> None:
    """Write a PNG with a line for each series of (x, y), or say that there is no matplotlib.

    Args:
        path: the file; its folder is made.
        title: above the chart.
        axes: what x and y are, with their units.
        series: by name.
        logarithmic: which axes are: "", "x", or "xy". A logarithmic x has a tick at each x that was measured.
    """
    if not importlib.util.find_spec("matplotlib"):
        print(f"{path.name} is not drawn: matplotlib is not installed")
        return
    # Only a run that is to draw needs it.
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    chart = figure.subplots()
    for name, points in series.items():
        # A dot for each measurement, where they are few: a line through one of them would not be seen.
        chart.plot(*zip(*points, strict=True), label=name, linewidth=1.8, marker="o" if len(points) <= 10 else None)
    chart.set(title=title, xlabel=axes[0], ylabel=axes[1])
    if "x" in logarithmic:
        measured = sorted({x for points in series.values() for x, _ in points})
        chart.set_xscale("log")
        chart.set_xticks(measured, [f"{x:,.0f}" for x in measured])
        chart.set_xticks([], minor=True)
    if "y" in logarithmic:
        chart.set_yscale("log")
        chart.yaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), minor_locator=NullLocator(), major_formatter="{x:,g}")
    else:
        chart.set_ylim(0, None)
    chart.grid(alpha=0.3)
    chart.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
