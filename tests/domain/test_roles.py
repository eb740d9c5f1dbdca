"""Roles: what a key has, and that none makes another that may do more."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.keys import Key, KeyKind, Role, Scope, check
from jangbu.domain.members import Member, MemberRole
from jangbu.domain.roles import exceeds, has_more_rights
from jangbu.errors import InvalidInput
from tests.domain.test_keys import KEY, NOW

APP = replace(KEY, kind=KeyKind.APP, user=None, hint="jba_0000")
ROLES = [role for role in Role if role is not Role.USER]

scopes = st.none() | st.lists(st.sampled_from([*Scope, *ROLES]), max_size=4).map(tuple)
models = st.none() | st.lists(st.sampled_from(["a", "b", "a*", "ab*", "b*", "*"]), max_size=3).map(tuple)
limits = st.none() | st.integers(1, 3)
keys = st.builds(
    lambda scopes, models, requests, tokens, calls, hours: replace(
        APP,
        scopes=scopes,
        models=models,
        requests_per_minute=requests,
        tokens_per_minute=tokens,
        concurrent_calls=calls,
        expires_at=None if hours is None else NOW + timedelta(hours=hours),
    ),
    scopes,
    models,
    limits,
    limits,
    limits,
    limits,
)


@pytest.mark.parametrize("role", ROLES)
def test_an_apps_key_has_the_roles_that_stand_among_its_scopes(role: Role) -> None:
    assert replace(APP, scopes=(role, Scope.GENERATE)).roles == {role}
    assert replace(APP, scopes=None).roles == frozenset()
    assert replace(APP, scopes=()).roles == frozenset()


def test_a_users_key_reads_its_own_account_and_has_no_other_role() -> None:
    assert KEY.roles == {Role.USER}
    assert replace(KEY, scopes=(Scope.ACCOUNT,)).roles == {Role.USER}
    assert replace(KEY, scopes=(Scope.GENERATE,)).roles == frozenset()
    with pytest.raises(InvalidInput, match="no role"):
        check(replace(KEY, scopes=(Role.OWNER,)))
    with pytest.raises(InvalidInput, match="no scope"):
        check(replace(APP, scopes=(Role.USER,)))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_allows_no_call_of_the_provider(role: Role) -> None:
    key = replace(APP, scopes=(role,))
    assert not any(key.allows_scope(scope) for scope in Scope)


@given(keys)
def test_a_key_with_scopes_may_do_no_more_than_itself(key: Key) -> None:
    assert exceeds(key, key) is (key.scopes is None)


@given(keys, keys, keys)
def test_what_a_key_makes_makes_nothing_that_its_maker_could_not(first: Key, second: Key, third: Key) -> None:
    if not exceeds(second, first) and not exceeds(third, second):
        assert not exceeds(third, first)


@given(keys, keys)
def test_whoever_may_do_no_more_has_no_more_rights_models_limits_or_time(key: Key, maker: Key) -> None:
    if exceeds(key, maker):
        return
    assert Role.OWNER in maker.roles or Role.OWNER not in key.roles
    assert not has_more_rights(key, maker)
    for model in ("a", "ab", "abc", "b", "bc", "c"):
        assert maker.allows_model(model) or not key.allows_model(model)
    if maker.expires_at is not None:
        assert key.expires_at is not None
        assert key.expires_at <= maker.expires_at


def member(role: MemberRole) -> Member:
    return Member(UUID(int=1), "kim", role, True, None, NOW, None, None)


@pytest.mark.parametrize(
    ("scopes", "makers"),
    [
        (None, "owner developer"),
        ((Scope.GENERATE, Scope.LIVE), "owner developer"),
        ((Scope.ACCOUNT,), "owner finance developer viewer"),
        ((), "owner finance developer viewer"),
        ((Role.ANALYTICS,), "owner finance developer viewer"),
        ((Role.VIEWER,), "owner finance developer viewer"),
        ((Role.DEVELOPER, Scope.GENERATE), "owner developer"),
        ((Role.VIEWS,), "owner developer"),
        ((Role.FINANCE,), "owner finance"),
        ((Role.FINANCE, Scope.GENERATE), "owner"),
        ((Role.OWNER,), "owner"),
    ],
)
def test_a_member_makes_no_key_that_may_do_more_than_their_role(scopes: tuple[str, ...] | None, makers: str) -> None:
    key = replace(APP, scopes=scopes, models=None, requests_per_minute=None)
    assert {role for role in MemberRole if not exceeds(key, member(role))} == set(makers.split())


@given(keys, keys, st.sampled_from(MemberRole))
def test_a_key_that_a_member_may_make_makes_nothing_that_the_member_could_not(
    first: Key, second: Key, role: MemberRole
) -> None:
    if not exceeds(first, member(role)) and not exceeds(second, first):
        assert not exceeds(second, member(role))
