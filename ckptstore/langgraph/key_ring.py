"""Several keys for one encrypting serialiser, while a store changes from one to the next."""

from __future__ import annotations

from collections.abc import Sequence

from langgraph.checkpoint.serde.base import CipherProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer


def key_ring(newest: EncryptedSerializer, *older: EncryptedSerializer) -> EncryptedSerializer:
    """A serialiser that encrypts with the newest key and reads what any of the keys encrypted.

    Args:
        newest: has the key to encrypt with, and the serialiser of the values.
        older: have the keys that only read. Their ciphers must notice a wrong key, as `from_pycryptodome_aes` does by default.
    """
    return EncryptedSerializer(_Ring([newest.cipher, *[serde.cipher for serde in older]]), newest.serde)


class _Ring(CipherProtocol):
    def __init__(self, ciphers: Sequence[CipherProtocol]) -> None:
        self._ciphers = ciphers

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        return self._ciphers[0].encrypt(plaintext)

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        *others, last = self._ciphers
        for cipher in others:
            try:
                return cipher.decrypt(ciphername, ciphertext)
            except Exception:  # noqa: S112  # each cipher has errors of its own, and the last one's is raised
                continue
        return last.decrypt(ciphername, ciphertext)
