"""Which keys of metadata become tags, and which names are taken for credentials: see `ckptstore.tags.keys`."""

from ckptstore.tags.keys import CREDENTIAL_WORDS, EVERYTHING, TagKeys

__all__ = ["CREDENTIAL_WORDS", "EVERYTHING", "TagKeys"]
