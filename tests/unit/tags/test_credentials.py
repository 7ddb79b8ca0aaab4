"""What is a credential: by the end of its name, or by its look; never a number or a boolean."""

from __future__ import annotations

import pytest

from ckptstore import TagKeys
from ckptstore.tags.credentials import is_secret

CREDENTIALS = [
    "api_key", "apikey", "apiKey", "API-KEY", "APIKey", "OPENAI_API_KEY", "x-api-key", "api_keys", "openaiAPIKey", "anthropic_key",
    "api_key_2", "token", "access_token", "refreshToken", "token1", "huggingface_hub_pat", "auth", "basic_auth", "Authorization",
    "session.cookie",
    "pass", "db_password", "PGPASSWORD", "smtp-pass", "private_key", "privateKey", "client_secret", "secretKey", "jwt", "db_url", "dsn",
]  # fmt: skip
HARMLESS = [
    "author", "authority", "tokenizer", "max_tokenized", "max_tokens", "token_count", "secretary", "monkey", "keyboard", "user", "key",
    "public_key", "cacheKey", "passwordless", "compass", "cookie_policy", "auth_user_id",
    "callback_url", "path", "",
]  # fmt: skip


@pytest.mark.parametrize("name", CREDENTIALS)
def test_a_name_that_ends_like_a_credentials_is_one(name: str) -> None:
    assert TagKeys().is_credential(name, "anything")


@pytest.mark.parametrize("name", HARMLESS)
def test_a_name_with_such_a_word_elsewhere_is_none(name: str) -> None:
    assert not TagKeys().is_credential(name, "anything")


SECRETS = [
    "postgresql://ann:pw@host/db", "redis://:pw@cache:6379/0", "postgresql:///db?host=h&password=pw", "host=h user=u password=pw",
    "sk-abc123", "sk-ant-api03-Zm9v", "sk-proj-1234567890", "ghp_0123456789abcdef", "github_pat_11ABCDEFG", "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "Bearer 0123456789", "use hf_abcdefgh please", "-----BEGIN RSA PRIVATE KEY-----\nMII",
]  # fmt: skip
TEXTS = [
    "ann", "https://host/path?q=1", "https://host:8080/a@b", "mailto:ann@host", "scikit sk-learn-model", "12345", "", "eyJ",
    "a bearer of news", "s3://bucket/key", "0123456789abcdef0123456789abcdef", "ask-me-anything-2024",
]  # fmt: skip


@pytest.mark.parametrize("text", SECRETS)
def test_a_text_that_looks_like_a_credential_is_one_under_any_name(text: str) -> None:
    assert is_secret(text)
    assert TagKeys().is_credential("note", text)
    assert not TagKeys(credentials=()).is_credential("note", text)


@pytest.mark.parametrize("text", TEXTS)
def test_other_texts_are_none(text: str) -> None:
    assert not is_secret(text)


def test_words_of_ones_own_are_compared_in_the_same_way() -> None:
    ours = TagKeys(credentials=("pin", "p.n", "a|b"))
    assert [name for name in ("door_pin", "doorPin", "PIN", "p.n", "a|b") if not ours.is_credential(name, "x")] == []
    assert [name for name in ("pins", "pin_code", "spin", "a", "token") if ours.is_credential(name, "x")] == []
