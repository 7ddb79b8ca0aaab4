"""Random names and numbers that must differ, but that nobody need be kept from guessing."""

from __future__ import annotations

import random
from binascii import b2a_base64

from ckptstore.runtime.fork import in_child

# `secrets` asks the system each time, which hands the interpreter's lock to another thread. Not the module's own generator:
# an application may seed that, and two processes with the same seed would go through the same numbers.


class _Generator(random.Random):
    """Seeded by the system, and again in every child of a fork."""

    def __init__(self) -> None:
        super().__init__()
        in_child(self._seed_anew)

    def _seed_anew(self) -> None:
        self.seed()


_generator = _Generator()
random_bits = _generator.getrandbits


def random_text(size: int) -> str:
    """So many random bytes, a multiple of three, in base64."""
    return b2a_base64(_generator.randbytes(size), newline=False).decode()
