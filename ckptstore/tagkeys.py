"""Which metadata keys are indexed as tags, and which names are recognised as credentials: see `ckptstore.tags.keys`."""

from ckptstore.tags.credentials import CREDENTIAL_WORDS
from ckptstore.tags.keys import EVERYTHING, TagKeys

__all__ = ["CREDENTIAL_WORDS", "EVERYTHING", "TagKeys"]
