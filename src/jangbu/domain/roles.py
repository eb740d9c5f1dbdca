"""Whether one key may do more than another: a key makes and ends no key that may do what it may not do itself.

Nor does a member. What a member may do is what their role says, and what whoever has it may let an app do.
"""

from jangbu.domain.keys import Key, Role, Scope
from jangbu.domain.members import Member

__all__ = ["exceeds", "has_more_rights", "rights_of"]

_READS = frozenset({Role.VIEWER, Role.ANALYTICS})
_INCLUDED = {
    Role.OWNER: frozenset(Role) - {Role.USER},
    Role.FINANCE: _READS,
    Role.DEVELOPER: _READS | {Role.VIEWS},
    Role.VIEWER: frozenset({Role.ANALYTICS}),
}
"""The roles that may do nothing but what another role may do, too."""


def rights_of(roles: frozenset[Role]) -> frozenset[str]:
    """Give the roles and scopes that a member who has roles may give to a key.

    Developers let apps call the provider: who may record whatever an app was answered may let it ask.
    """
    held = _with_included(roles)
    return held | frozenset(Scope) if roles & {Role.OWNER, Role.DEVELOPER} else held


def exceeds(key: Key, maker: Key | Member) -> bool:
    """Tell whether a key may do something that its maker may not: by its rights, models, limits, or for longer."""
    return has_more_rights(key, maker) or (isinstance(maker, Key) and _is_looser(key, maker))


def has_more_rights(key: Key, other: Key | Member) -> bool:
    """Tell whether a key has a role or a scope that another one, or a member, does not have."""
    if Role.OWNER in other.roles:
        return False
    if isinstance(other, Member):
        # A key without scopes may call the provider in every way, and nothing else.
        return not rights_of(other.roles).issuperset(Scope if key.scopes is None else key.scopes)
    held = frozenset(other.scopes or ()) | _with_included(other.roles)
    return key.scopes is None or not held.issuperset(key.scopes)


def _is_looser(key: Key, maker: Key) -> bool:
    limits = (
        (key.requests_per_minute, maker.requests_per_minute),
        (key.tokens_per_minute, maker.tokens_per_minute),
        (key.concurrent_calls, maker.concurrent_calls),
    )
    return (
        _calls_more_models(key, maker)
        or any(most is not None and (limit is None or limit > most) for limit, most in limits)
        or (maker.expires_at is not None and (key.expires_at is None or key.expires_at > maker.expires_at))
    )


def _with_included(roles: frozenset[Role]) -> frozenset[str]:
    """Give roles, those that they include, and the scope that lets a user's key read what a viewer may read."""
    held: frozenset[str] = roles.union(*(_INCLUDED.get(role, frozenset()) for role in roles))
    return held | {Scope.ACCOUNT} if Role.VIEWER in held else held


def _calls_more_models(key: Key, maker: Key) -> bool:
    if maker.models is None:
        return False
    if key.models is None:
        return True
    return not all(_is_within(pattern, maker.models) for pattern in key.models)


def _is_within(pattern: str, others: tuple[str, ...]) -> bool:
    """Tell whether all that a pattern names is named by one of others."""
    name = pattern.removesuffix("*")
    return pattern in others or any(each.endswith("*") and name.startswith(each[:-1]) for each in others)
