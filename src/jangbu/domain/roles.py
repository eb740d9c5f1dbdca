"""Whether one key may do more than another: a key makes and ends no key that may do what it may not do itself."""

from jangbu.domain.keys import Key, Role, Scope

__all__ = ["has_more_rights", "may_do_more"]

_READS = frozenset({Role.VIEWER, Role.ANALYTICS})
_INCLUDED = {
    Role.OWNER: frozenset(Role) - {Role.USER},
    Role.FINANCE: _READS,
    Role.DEVELOPER: _READS | {Role.VIEWS},
    Role.VIEWER: frozenset({Role.ANALYTICS}),
}
"""The roles that may do nothing but what another role may do, too."""


def may_do_more(key: Key, maker: Key) -> bool:
    """Tell whether a key may do something that its maker may not: by its rights, models, limits, or for longer."""
    limits = (
        (key.requests_per_minute, maker.requests_per_minute),
        (key.tokens_per_minute, maker.tokens_per_minute),
        (key.concurrent_calls, maker.concurrent_calls),
    )
    return (
        has_more_rights(key, maker)
        or _calls_more_models(key, maker)
        or any(most is not None and (limit is None or limit > most) for limit, most in limits)
        or (maker.expires_at is not None and (key.expires_at is None or key.expires_at > maker.expires_at))
    )


def has_more_rights(key: Key, other: Key) -> bool:
    """Tell whether a key has a role or a scope that another one does not have."""
    if Role.OWNER in other.roles:
        return False
    held = set(other.scopes or ())
    for role in other.roles:
        held |= _INCLUDED.get(role, frozenset())
    if Role.VIEWER in held:
        held.add(Scope.ACCOUNT)
    return key.scopes is None or not set(key.scopes) <= held


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
