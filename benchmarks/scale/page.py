"""The measurements and the model's predictions as Markdown, for docs/scale.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmarks.report import number
from benchmarks.scale.measured import Frozen, Measured
from benchmarks.scale.model import FREEZE_EVERY, Prediction, Prices, error_of, predict

BEGIN, END = "<!-- written by `python -m benchmarks.scale` -->", "<!-- end of what `python -m benchmarks.scale` wrote -->"

#: What the page predicts: checkpoints, and steps a second.
TARGETS = ((10**7, 500.0), (10**8, 2_000.0), (10**9, 10_000.0))
_TERABYTE = 1e12
_EXPLAINED = (
    "Each step is one `aput` with five tags and one `aput_writes`, on top of the store of that size. Freezing all is the most that it can "
    "be: no vacuum had seen the store before. A server freezes most pages earlier, when autovacuum comes to new rows."
)
_SERVER_BYTES = 4 * _TERABYTE


def document(about: Mapping[str, str], measured: Sequence[Measured], cores: int, prices: Prices) -> str:
    """All tables.

    Args:
        about: what it was measured on.
        measured: by size, the smallest first; the model is made from the last but one, and checked against the last.
        cores: of the measured machine.
        prices: for the costs.
    """
    predictions = [predict(measured[-1], checkpoints, steps) for checkpoints, steps in TARGETS]
    parts = [
        "\n".join(f"- {label}: {text}" for label, text in about.items()),
        "## What was measured",
        _measured_table(measured),
        _EXPLAINED,
        "## How wrong the model is",
        _check(measured),
        "## What it predicts",
        _prediction_table(predictions, cores, prices),
        "## Where the bytes are",
        _bytes_table(measured[-1], predictions[-1]),
    ]
    return "\n\n".join(parts)


def _measured_table(measured: Sequence[Measured]) -> str:
    rows: list[list[str]] = [["bytes for each checkpoint", *(number(each.bytes / each.checkpoints) for each in measured)]]
    for tasks in measured[0].loads:
        loads = [each.loads[tasks] for each in measured]
        at = f"{tasks} task{'s' if tasks > 1 else ''}"
        rows += [
            [f"steps/s, {at}", *(number(load.per_second) for load in loads)],
            [f"log for each step, {at}, bytes", *(number(load.log_bytes) for load in loads)],
            [f"page images for each step, {at}", *(number(load.page_images) for load in loads)],
            [f"commits for each step, {at}", *(number(load.commits) for load in loads)],
            [f"updates of `ckpt_thread` for each step, {at}", *(number(load.updates.get("ckpt_thread", 0.0)) for load in loads)],
            [f"of these within the page (HOT), {at}", *(number(load.hot_updates.get("ckpt_thread", 0.0)) for load in loads)],
        ]
    rows += _freezing_rows(measured)
    rows.append(["VACUUM with nothing to do, s", *(number(each.vacuum_seconds) for each in measured)])
    rows.append(["VACUUM (FREEZE) after the steps, s", *(number(each.freeze_seconds) for each in measured)])
    return _table(["checkpoints", *(f"{each.checkpoints:,}" for each in measured)], rows)


def _freezing_rows(measured: Sequence[Measured]) -> list[list[str]]:
    if not any(each.freeze_all for each in measured):
        return []

    def row(label: str, value: Callable[[Measured, Frozen], str]) -> list[str]:
        return [label, *(value(each, each.freeze_all) if each.freeze_all else "" for each in measured)]

    return [
        row("VACUUM (FREEZE) of all, s", lambda _, frozen: number(frozen.seconds)),
        row("load average of the machine before that", lambda _, frozen: number(frozen.load_average)),
        row("its log for each checkpoint, bytes", lambda each, frozen: number(frozen.log_bytes / each.checkpoints)),
        row("its page images for each 1,000 checkpoints", lambda each, frozen: number(frozen.page_images / each.checkpoints * 1_000)),
        row("pages it asked for, for each 1,000 checkpoints", lambda each, frozen: number(frozen.pages / each.checkpoints * 1_000)),
        row("of a schema of revision", lambda _, frozen: frozen.revision),
    ]


def _check(measured: Sequence[Measured]) -> str:
    if len(measured) < 2:
        return "One size was measured: there is nothing to check the model against."
    made_from, against = measured[-2], measured[-1]
    predicted = predict(made_from, against.checkpoints, 1.0)
    rows = [["all tables and indexes", *_compared(predicted.bytes, against.bytes)]]
    named = sorted(against.parts, key=lambda name: -against.parts[name].bytes)
    largest = [name for name in named if against.parts[name].bytes > against.bytes / 100]
    rows += [[f"`{name}`", *_compared(predicted.bytes_of[name], against.parts[name].bytes)] for name in largest]
    of = f"Made from the {made_from.checkpoints:,} checkpoints, and checked against the {against.checkpoints:,}, in MB:"
    return f"{of}\n\n{_table(['', 'predicted', 'measured', 'error'], rows)}"


def _compared(predicted: float, measured: float) -> list[str]:
    return [number(predicted / 1e6), number(measured / 1e6), f"{error_of(predicted, measured):+.1%}"]


def _prediction_table(predictions: Sequence[Prediction], cores: int, prices: Prices) -> str:
    servers = [max(each.servers_for_steps, each.servers_for_bytes(_SERVER_BYTES)) for each in predictions]
    freezing = f"days of {FREEZE_EVERY // 10**6} million transactions, after which all is frozen"
    rows = [
        ["steps a second", *(number(each.steps_per_second) for each in predictions)],
        ["tables and indexes, TB", *(number(each.bytes / _TERABYTE) for each in predictions)],
        ["levels of the deepest index", *(str(max(each.levels_of.values())) for each in predictions)],
        ["log, MB/s, without page images", *(number(each.log_bytes_per_second / 1e6) for each in predictions)],
        ["log, MB/s, with the page images of the short measurement", *(number(each.log_bytes_with_images / 1e6) for each in predictions)],
        ["commits a second", *(number(each.commits_per_second) for each in predictions)],
        [freezing, *(number(each.days_to_freeze) for each in predictions)],
        [f"servers of {cores} cores for the steps", *(str(each.servers_for_steps) for each in predictions)],
        ["servers of 4 TB for the bytes", *(str(each.servers_for_bytes(_SERVER_BYTES)) for each in predictions)],
        [
            f"$ a month, at ${prices.gigabyte} for a GB and ${prices.core:.0f} for a core",
            *(number(each.dollars_a_month(prices, count, cores)) for each, count in zip(predictions, servers, strict=True)),
        ],
    ]  # fmt: skip
    return _table(["checkpoints", *(f"{each.checkpoints:,}" for each in predictions)], rows)


def _bytes_table(measured: Measured, prediction: Prediction) -> str:
    rows = []
    for name in sorted(measured.parts, key=lambda name: -measured.parts[name].bytes):
        part = measured.parts[name]
        if part.bytes > measured.bytes / 100:
            of = [number(part.bytes / measured.checkpoints), f"{part.bytes / measured.bytes:.0%}"]
            rows.append([f"`{name}`", *of, number(prediction.bytes_of[name] / 1e9), str(prediction.levels_of.get(name, ""))])
    return _table(["", "bytes for each checkpoint", "part", f"GB at {prediction.checkpoints:,}", "levels there"], rows)


def _table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---", *(["---:"] * (len(lines[0]) - 1))])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def replace_between(text: str, made: str) -> str:
    """A document with new tables in place of the last ones.

    Raises:
        ValueError: it has no place for them.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the document has no lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"
