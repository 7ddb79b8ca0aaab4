"""Where the bytes are: a treemap of tables, indexes and blobs, the largest channels and threads, and growth by day."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from ckptstore.inspection.stats import Day, StatsRequest, StoreStats, store_stats
from ckptstore.inspector.checkpoint_page import attempt
from ckptstore.inspector.context import Inspector, inspector_of
from ckptstore.inspector.rendering import streamed
from ckptstore.inspector.treemap import Part, Rectangle, treemap
from ckptstore.runtime.steps import drive

#: The size of the treemap in pixels, on a broad screen and on a narrow one.
_SIZES = {"broad": (960, 320), "narrow": (360, 340)}
#: The size of the chart in pixels.
WIDTH, HEIGHT = 960, 140
_DAYS = 30
_LARGEST = 12
# The room that a name takes in a rectangle, in pixels.
_LETTER_WIDTH, _NAME_MARGIN, _NAME_HEIGHT = 7.4, 16, 26
_NAMES = {
    "ckpt_checkpoint": "checkpoints",
    "ckpt_channel": "values",
    "ckpt_segment": "segments",
    "ckpt_write": "writes",
    "ckpt_tag": "tags",
    "ckpt_tag_posting": "tags",
    "ckpt_tag_thread": "numbers of threads",
    "ckpt_tag_value": "numbers of tags' keys and values",
    "ckpt_tag_value_left": "values of deleted tags",
    "ckpt_thread": "threads",
    "ckpt_object": "objects",
    "ckpt_setting": "settings",
    "ckpt_alembic_version": "revision",
}


class Bar(NamedTuple):
    """A day of the chart."""

    day: Day
    x: float
    y: float
    width: float
    height: float


class ShownSpace(NamedTuple):
    """What of the page has to be measured."""

    stats: StoreStats
    #: The largest first.
    parts: Sequence[Part]
    #: Name, width, height, and rectangles, each with whether it has room for its name.
    treemaps: Sequence[tuple[str, int, int, Sequence[tuple[Rectangle, bool]]]]
    bars: Sequence[Bar]
    #: How many seconds ago it was measured.
    age: int


def space(request: Request) -> Response:
    """The page. Its head is sent before anything is measured."""
    inspector = inspector_of(request)
    read = partial(attempt, partial(_shown, inspector, again="again" in request.query_params))
    return streamed("space.html", inspector=inspector, place="space", read=read, chart=(WIDTH, HEIGHT))


def _shown(inspector: Inspector, *, again: bool) -> ShownSpace:
    asked = StatsRequest(inspector.microseconds, _DAYS, _LARGEST)
    found, age = inspector.measured.read(lambda: drive(store_stats(inspector.store, asked)), again=again)
    parts = sorted((part for part in _parts(found) if part.size > 0), key=lambda part: (-part.size, part.name))
    treemaps = [(name, *size, [(each, _has_room(each)) for each in treemap(parts, *size)]) for name, size in _SIZES.items()]
    return ShownSpace(found, parts, treemaps, bars(found.growth), age)


def _has_room(rectangle: Rectangle) -> bool:
    """Whether its name fits into a rectangle."""
    return rectangle.height >= _NAME_HEIGHT and rectangle.width >= len(rectangle.part.name) * _LETTER_WIDTH + _NAME_MARGIN


def _parts(found: StoreStats) -> list[Part]:
    parts = [Part(f"blobs, {of.state}", "blobs", of.bytes) for of in found.objects]
    for table in found.sizes.tables:
        name = _NAMES.get(table.name, table.name)
        parts += [Part(name, "tables", table.bytes), Part(f"index of {name}", "indexes", table.index_bytes)]
    if not found.sizes.tables:
        parts.append(Part("database", "tables", found.sizes.bytes - (found.sizes.free_bytes or 0)))
    return [*parts, Part("free", "free", found.sizes.free_bytes or 0)]


def bars(days: Sequence[Day]) -> list[Bar]:
    """The chart of some days, by the bytes that were added."""
    most = max((day.bytes for day in days), default=0) or 1
    step = WIDTH / max(len(days), 1)
    made = []
    for number, day in enumerate(days):
        # A day with few bytes has a bar that can be seen, too.
        height = max(2.0, HEIGHT * day.bytes / most) if day.bytes else 0.0
        made.append(Bar(day, number * step + step * 0.12, HEIGHT - height, step * 0.76, height))
    return made
