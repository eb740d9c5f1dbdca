"""Keys: who may call the gateway and the API. They are made here, shown once, and ended."""

from collections.abc import Mapping
from typing import Any

from jangbu.dashboard.done import key_of, new_key
from jangbu.dashboard.fields import Wrong, expiry_of, id_of, name_of, place_of, placed, require_one_of, whole_or_none
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import OPERATIONS, Action, Answered, Page
from jangbu.dashboard.pages.user import user_of
from jangbu.domain.keys import Key, KeyKind, Role, Scope
from jangbu.domain.roles import has_more_rights, rights_of

__all__ = ["PAGE"]

_SHOWN = 50
_INTEGER_MAX = 2**31 - 1
_ROLES = tuple(role for role in Role if role is not Role.USER)
_GATEWAY = tuple(scope for scope in Scope if scope is not Scope.ACCOUNT)
_WAYS = ("all", "chosen", "none")
"""What a key may call at the gateway: everything, what is ticked, or nothing."""


async def show(look: Look) -> Mapping[str, Any]:
    """Read a page of keys: of everybody, or of one user."""
    user = look.asked("user")
    keys = await look.ledger.keys.list(user, _SHOWN + 1, place_of(look.asked("after")))
    last = keys[_SHOWN - 1] if len(keys) > _SHOWN else None
    now, rights = await look.ledger.database.now(), rights_of(look.session.member.roles)
    return {
        "keys": [(key, key.state(now), not has_more_rights(key, look.session.member)) for key in keys[:_SHOWN]],
        "next": None if last is None else placed(last.created_at, last.id),
        "roles": [role.value for role in _ROLES if role in rights],
        "scopes": {"app": _values(_GATEWAY), "user": _values(Scope)},
        "ways": _WAYS,
        "user": user,
        "form_key": new_key(look),
    }


async def create_app(look: Look) -> Answered:
    """Make a key for an app, which names the user of each call, or calls the API in a role."""
    return await _made(look, KeyKind.APP, None)


async def create_user(look: Look) -> Answered:
    """Make a key whose calls one user pays for."""
    return await _made(look, KeyKind.USER, user_of(look))


async def revoke(look: Look) -> str:
    """End a key for good."""
    key = id_of(look.form.get("id"))
    await look.ledger.keys.revoke_for(look.session.member, key, once=key_of(look))
    return look.url("/settings/keys", notice="revoked")


async def _made(look: Look, kind: KeyKind, user: str | None) -> Answered:
    """Make a key, and show its secret on the page that answers: nowhere else, and never again."""
    draft = _drafted(look, kind, user)
    key, secret = await look.ledger.keys.make_for(look.session.member, draft, once=key_of(look))
    return Answered("settings_key_made.html", {"key": key, "secret": secret})


def _drafted(look: Look, kind: KeyKind, user: str | None) -> Key:
    models = [part for part in look.form.get("models", "").replace(",", " ").split() if part]
    limits = (
        whole_or_none(look, "requests_per_minute", most=_INTEGER_MAX),
        whole_or_none(look, "tokens_per_minute"),
        whole_or_none(look, "concurrent_calls", most=_INTEGER_MAX),
    )
    name = user if user is not None and not look.form.get("name") else name_of(look)
    return look.ledger.keys.drafted(kind, name, user, _scopes(look, kind), models or None, limits, expiry_of(look))


def _scopes(look: Look, kind: KeyKind) -> tuple[str, ...] | None:
    """Give what a key may do; a key without scopes may do everything at the gateway, and nothing else."""
    way = look.form.get("gateway") or "all"
    require_one_of(_WAYS, way)
    offered: tuple[Scope, ...] = _GATEWAY if kind is KeyKind.APP else tuple(Scope)
    roles = [role.value for role in _ROLES if kind is KeyKind.APP and look.form.get(f"role.{role}")]
    if way == "all" and not roles:
        return None
    called = [scope.value for scope in offered if way == "all" or (way == "chosen" and look.form.get(f"scope.{scope}"))]
    if not roles and not called:
        raise Wrong("rights")
    return (*roles, *called)


def _values(scopes: tuple[Scope, ...] | type[Scope]) -> tuple[str, ...]:
    return tuple(scope.value for scope in scopes)


PAGE = Page(
    "/settings/keys",
    "settings_keys",
    OPERATIONS,
    show,
    {
        "create-app": Action(create_app, OPERATIONS),
        "create-user": Action(create_user, OPERATIONS),
        "revoke": Action(revoke, OPERATIONS),
    },
    in_menu=False,
)
