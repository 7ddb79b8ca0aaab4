"""Recognise credentials among the entries of a config: metadata is stored as plain text, so they are left out of it.

Only texts are credentials, never a number or a boolean. A text is one if its name ends in the name of a credential (`openai_api_key`,
`dbPassword`, but not `max_tokens` or `auth_user_id`), or if it looks like one itself, whatever its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Names of credentials. An entry's name is compared at its end, in whole words: they are separated by `_`, `-`, `.` or an upper-case
#: letter, and numbers at the end do not count. An underscore in a word also matches nothing; one in front requires that another word
#: precedes.
CREDENTIAL_WORDS = (
    "_key", "api_key", "api_keys", "access_key", "access_keys", "secret_key", "private_key", "session_key",
    "token", "api_tokens", "access_tokens", "jwt", "pat", "bearer", "secret", "secrets", "signature", "cookie", "cookies",
    "password", "passwords", "pgpassword", "passwd", "pass_phrase", "pass_code", "pass", "pwd",
    "credential", "credentials", "creds", "auth", "authorization", "db_url", "database_url", "connection_string", "conn_string", "dsn",
)  # fmt: skip

# Names that end like a credential's and are none.
_HARMLESS = (
    "public_key", "primary_key", "foreign_key", "partition_key", "sort_key", "cache_key", "routing_key", "idempotency_key", "group_key",
    "dedup_key", "page_token",
)  # fmt: skip

_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")
_NUMBER_AT_END = re.compile(r"_?[0-9]+$")

# The bounds of repetitions keep the search linear in texts that were made to be slow.
_SECRET = re.compile(
    r"""
      \b[a-z][a-z0-9+.-]{1,20}://[^\s/?#:@]{0,200}:[^\s/?#@]{1,200}@   # a URL with a password
    | \b(?:ssl)?(?:password|passwd|pwd)=[^\s&;]                         # in its query, or in the form of libpq
    | \bsk-(?=[\w-]{0,80}[0-9])[\w-]{6}                                 # OpenAI, Anthropic, Stripe
    | \b(?:gh[pousr]|github_pat|hf|sk_live|rk_live)_[A-Za-z0-9]{6}      # GitHub, Hugging Face, Stripe
    | \bglpat-[\w-]{6} | \bxox[abeprs]-[\w-]{6} | \bAIza[\w-]{20}       # GitLab, Slack, Google
    | \b(?:AKIA|ASIA)[A-Z0-9]{12}                                       # AWS
    | \beyJ[\w-]{5,300}\.eyJ[\w-]                                       # a JWT
    | -----BEGIN\ [A-Z ]{0,30}PRIVATE\ KEY-----
    | ^(?:Bearer|Basic)\ [\w.~+/=-]{8}
    """,
    re.VERBOSE,
)
_SEARCHED_CHARACTERS = 8192


def names_pattern(words: Iterable[str]) -> re.Pattern[str]:
    """The pattern that `is_name_of_credential` takes, for some words as in `CREDENTIAL_WORDS`."""
    alternatives = "|".join(map(_one_word, words))
    if not alternatives:
        return re.compile(r"(?!)")
    harmless = "".join(f"(?<!{re.escape(name)})" for name in _HARMLESS)
    return re.compile(rf"(?:{alternatives})$(?:{harmless})")


def _one_word(word: str) -> str:
    # A word may hold characters at which names are split: it is split as they are.
    words = _words(word)
    before = r"(?<=[^_])_" if word.startswith("_") else r"(?:^|_)"
    return before + re.escape(words).replace("_", "_?")


def is_name_of_credential(name: str, names: re.Pattern[str]) -> bool:
    """Whether the name of an entry is a credential's."""
    return names.search(_NUMBER_AT_END.sub("", _words(name))) is not None


def is_secret(text: str) -> bool:
    """Whether a text looks like a credential: a URL with a password, a key of a well-known service, a JWT, a private key."""
    return _SECRET.search(text[:_SEARCHED_CHARACTERS]) is not None


def _words(name: str) -> str:
    return _WORD_BORDER.sub("_", name).strip("_").lower()
