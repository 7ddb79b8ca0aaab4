"""Charts for the README, drawn where matplotlib is installed (`make bench` installs it)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def draw_lines(path: Path, title: str, axes: tuple[str, str], series: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Write a PNG with a line for each series of (x, y).

    Args:
        path: the file; its folder is made.
        title: above the chart.
        axes: what x and y are, with their units.
        series: by name.
    """
    # Only a run that is to draw needs it.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    chart = figure.subplots()
    for name, points in series.items():
        chart.plot(*zip(*points, strict=True), label=name, linewidth=1.8)
    chart.set(title=title, xlabel=axes[0], ylabel=axes[1], ylim=(0, None))
    chart.grid(alpha=0.3)
    chart.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
