"""Executes statements over given keys on a database that keeps each thread on one of several shards: those of each thread by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_PREFIX = "keys_"
_THREADS = f"{_PREFIX}thread_id"


def for_each_thread(parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The parameters of a statement with keys of threads (`sql.parameters.keys_table`): for each thread with its own keys.

    Threads come in the order of their ids, in which all transactions lock them.
    """
    numbers: dict[str, list[int]] = {}
    for number, thread_id in enumerate(parameters[_THREADS]):
        numbers.setdefault(thread_id, []).append(number)
    columns: dict[str, Sequence[Any]] = {name: values for name, values in parameters.items() if name.startswith(_PREFIX)}
    for thread_id, own in sorted(numbers.items()):
        keys = {name: [values[number] for number in own] for name, values in columns.items()}
        yield {**parameters, **keys, "thread_id": thread_id}
