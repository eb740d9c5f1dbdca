"""Secrets: known by their looks, refused with any character changed; and what a key allows."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.keys import Key, KeyKind, KeyState, Scope, check, digest, encode, hint, is_wellformed
from jangbu.errors import InvalidInput

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = Key(
    id=UUID(int=7),
    kind=KeyKind.USER,
    name="kim",
    user="kim",
    hint="jbu_0000",
    scopes=None,
    models=None,
    requests_per_minute=None,
    tokens_per_minute=None,
    concurrent_calls=None,
    expires_at=None,
    created_at=NOW,
    last_used_at=None,
    revoked_at=None,
)

random_bytes = st.binary(min_size=32, max_size=32)
kinds = st.sampled_from(KeyKind)
letters = st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-. \n가")


@given(kinds, random_bytes)
def test_a_secret_looks_as_scanners_expect_it(kind: KeyKind, given_bytes: bytes) -> None:
    secret = encode(kind, given_bytes)
    assert re.fullmatch(r"jb[au]_[0-9A-Za-z]{49}", secret)
    assert secret.startswith("jba_" if kind is KeyKind.APP else "jbu_")
    assert is_wellformed(secret)
    assert hint(secret) == secret[:8]
    assert len(digest(secret)) == 32


@given(kinds, random_bytes, random_bytes)
def test_other_bytes_are_another_secret(kind: KeyKind, first: bytes, second: bytes) -> None:
    assert (encode(kind, first) == encode(kind, second)) == (first == second)


@given(kinds, random_bytes, st.data())
def test_any_changed_character_is_refused(kind: KeyKind, given_bytes: bytes, data: st.DataObject) -> None:
    secret = encode(kind, given_bytes)
    place = data.draw(st.integers(0, len(secret) - 1))
    other = data.draw(letters.filter(lambda letter: letter != secret[place]))
    assert not is_wellformed(secret[:place] + other + secret[place + 1 :])


@given(kinds, random_bytes, st.data())
def test_two_characters_that_changed_places_are_refused(kind: KeyKind, given_bytes: bytes, data: st.DataObject) -> None:
    secret = encode(kind, given_bytes)
    place = data.draw(st.integers(0, len(secret) - 2))
    swapped = secret[:place] + secret[place + 1] + secret[place] + secret[place + 2 :]
    assert is_wellformed(swapped) == (swapped == secret)


@given(st.text(max_size=80))
def test_other_text_is_no_secret(text: str) -> None:
    assert not is_wellformed(text)


@pytest.mark.parametrize("around", ["{} ", " {}", "{}\n", "{}0", "x{}", "Bearer {}", "{}\ud800"])
def test_a_secret_with_anything_around_it_is_none(around: str) -> None:
    assert not is_wellformed(around.format(encode(KeyKind.USER, bytes(32))))


def test_the_ends_of_the_range_have_the_same_width() -> None:
    least, most = encode(KeyKind.USER, bytes(32)), encode(KeyKind.USER, b"\xff" * 32)
    assert len(least) == len(most) == 53
    assert least[4:47] == "0" * 43


def test_a_secret_is_written_the_same_for_ever() -> None:
    digits = "003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBID"
    assert encode(KeyKind.APP, bytes(range(32))) == "jba_" + digits + "lf2xif23"
    assert encode(KeyKind.USER, bytes(range(32))) == "jbu_" + digits + "lf2GXhPS"


def test_a_key_that_names_models_allows_those_and_what_its_patterns_begin() -> None:
    key = replace(KEY, models=("gemini-2.5-pro", "gemini-2.5-flash*"))
    asked = ("gemini-2.5-pro", "models/gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite")
    assert all(key.allows_model(model) for model in asked)
    refused = ("gemini-2.5-pro-preview", "gemini-2.5", "GEMINI-2.5-PRO", "x/gemini-2.5-pro", "")
    assert not any(key.allows_model(model) for model in refused)


def test_no_limit_allows_all_and_an_empty_one_allows_nothing() -> None:
    assert KEY.allows_model("any")
    assert replace(KEY, models=("*",)).allows_model("any")
    assert not replace(KEY, models=()).allows_model("any")
    assert all(KEY.allows_scope(scope) for scope in Scope)
    assert not any(replace(KEY, scopes=()).allows_scope(scope) for scope in Scope)
    assert [scope for scope in Scope if replace(KEY, scopes=("files", "embed")).allows_scope(scope)] == [
        Scope.EMBED,
        Scope.FILES,
    ]


def test_what_a_key_uses_is_counted_where_it_has_any_limit() -> None:
    assert not KEY.has_limits
    assert replace(KEY, requests_per_minute=1).has_limits
    assert replace(KEY, tokens_per_minute=1).has_limits
    assert replace(KEY, concurrent_calls=1).has_limits


def test_a_key_is_active_until_it_expires_or_is_revoked() -> None:
    soon = replace(KEY, expires_at=NOW + timedelta(seconds=1))
    assert KEY.state(NOW + timedelta(days=10_000)) == KeyState.ACTIVE
    assert [soon.state(NOW + timedelta(milliseconds=after)) for after in (0, 999, 1_000)] == [
        KeyState.ACTIVE,
        KeyState.ACTIVE,
        KeyState.EXPIRED,
    ]
    assert replace(soon, revoked_at=NOW).state(NOW + timedelta(seconds=5)) == KeyState.REVOKED


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "  "},
        {"name": "a\nb"},
        {"name": "x" * 201},
        {"scopes": ("generate", "everything")},
        {"models": ("gemini-*-pro",)},
        {"models": ("",)},
        {"models": ("two words",)},
        {"models": ("x" * 201,)},
        {"models": tuple(str(number) for number in range(101))},
        {"requests_per_minute": 0},
        {"requests_per_minute": True},
        {"requests_per_minute": 2**31},
        {"tokens_per_minute": 2**63},
        {"concurrent_calls": -1},
        {"expires_at": datetime(2030, 1, 1)},  # noqa: DTZ001
        {"expires_at": datetime.max.replace(tzinfo=UTC)},
    ],
    ids=str,
)
def test_a_key_that_cannot_be_kept_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        check(replace(KEY, **wrong))


def test_a_key_with_every_limit_can_be_kept() -> None:
    check(
        replace(
            KEY,
            name="웹툰 제작",
            scopes=tuple(Scope),
            models=("gemini-2.5-flash", "gemini-3*", "*", "publishers/google/models/x"),
            requests_per_minute=1,
            tokens_per_minute=2**63 - 1,
            concurrent_calls=2**31 - 1,
            expires_at=NOW,
        )
    )
