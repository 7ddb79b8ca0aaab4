"""What every process of a trial needs: imported once, before it is forked."""

import contextlib
import importlib
import logging

from benchmarks.contenders import NEEDED
from benchmarks.faults import check, writer

# Drivers log each connection that breaks; what comes of it is counted.
logging.disable()

__all__ = ["check", "writer"]

for _names in NEEDED.values():
    for _name in _names:
        with contextlib.suppress(ImportError):
            importlib.import_module(_name)
