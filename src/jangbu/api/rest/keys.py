"""Keys: made, listed and ended by keys that may do at least as much."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Response
from pydantic import Field

from jangbu.api.rest.asked import Ask, Somebody
from jangbu.api.rest.declared import OPERATIONS, Routes
from jangbu.api.rest.paging import Cursor, Limit, moment_and_id, page
from jangbu.api.rest.values import Answer, Body, Moment, Number, Part, Text, example
from jangbu.domain.keys import KeyKind, KeyState
from jangbu.errors import InvalidInput
from jangbu.metering.facts import key_facts

__all__ = ["keys"]

keys = Routes("keys")

_KEY = {
    "id": "0192f3a0-0000-7000-8000-000000000003",
    "kind": "app",
    "name": "reports",
    "user": None,
    "hint": "jba_4fGh",
    "scopes": ["api:analytics"],
    "models": None,
    "requests_per_minute": 600,
    "tokens_per_minute": None,
    "concurrent_calls": None,
    "expires_at": None,
    "created_at": "2026-01-31T09:00:00Z",
    "last_used_at": None,
    "revoked_at": None,
    "made_by": None,
    "state": "active",
}
_LIMIT = Field(None, strict=True, ge=1, le=2**31 - 1)


class KeyOrder(Body):
    """A key to be made: an app's, which is named, or a user's. Scopes name what it may do; roles are scopes, too."""

    model_config = example(name="reports", scopes=["api:analytics"], requests_per_minute=600)
    user: Text | None = Field(None, description="Whose key it is; without it an app's.")
    name: Text | None = Field(None, description="What it is for; a user's key is else named like the user.")
    scopes: Annotated[list[Text], Field(max_length=50)] | None = Field(
        None, description="Without it, everything at the gateway, and nothing here; an owner's key alone may do that."
    )
    models: Annotated[list[Text], Field(max_length=100)] | None = None
    requests_per_minute: int | None = _LIMIT
    tokens_per_minute: int | None = Field(None, strict=True, ge=1, le=2**63 - 1)
    concurrent_calls: int | None = _LIMIT
    expires_at: Moment | None = None


class KeyFacts(Part):
    """A key without its secret."""

    id: UUID
    kind: KeyKind
    name: str
    user: str | None
    hint: str
    scopes: list[str] | None
    models: list[str] | None
    requests_per_minute: Number | None
    tokens_per_minute: Number | None
    concurrent_calls: Number | None
    expires_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    made_by: UUID | None
    state: KeyState


class MadeKey(Answer, KeyFacts):
    """A key and its secret, which is shown this once; where it was made before with the same key it is null."""

    model_config = example(schema_version=1, key="jba_4fGh…", **_KEY, replayed=False)
    key: str | None
    replayed: bool


class KeyList(Answer):
    """Keys, newest first."""

    model_config = example(schema_version=1, keys=[_KEY], next=None)
    keys: list[KeyFacts]
    next: str | None


class ShownKey(Answer, KeyFacts):
    """A key."""

    model_config = example(schema_version=1, **_KEY)


class RevokedKey(Answer, KeyFacts):
    """A key that has ended, whether it was in force until now, and how many keys that it made ended with it."""

    model_config = example(
        schema_version=1,
        **{**_KEY, "revoked_at": "2026-01-31T10:00:00Z", "state": "revoked"},
        was_in_force=True,
        ended_with_it=2,
    )
    was_in_force: bool
    ended_with_it: Number


@keys.post("/keys", roles=OPERATIONS, answer=MadeKey, status=201, also=(200,))
async def create(ask: Ask, body: KeyOrder, response: Response) -> dict[str, Any]:
    """Make a key that may do no more than the one that makes it; its secret is shown once."""
    name = body.user if body.name is None else body.name
    if name is None:
        raise InvalidInput("an app's key has a name", hint="give name, or user for a user's key")
    draft = ask.ledger.keys.drafted(
        KeyKind.APP if body.user is None else KeyKind.USER,
        name,
        body.user,
        body.scopes,
        body.models,
        (body.requests_per_minute, body.tokens_per_minute, body.concurrent_calls),
        body.expires_at,
    )
    key, secret = await ask.ledger.keys.make_for(ask.key, draft, once=ask.once)
    response.status_code = 200 if secret is None else 201
    facts = key_facts(key, await ask.ledger.database.now())
    return {"key": secret, **facts, "replayed": secret is None}


@keys.get("/keys", roles=OPERATIONS, answer=KeyList)
async def list_keys(ask: Ask, user: Somebody, limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
    """List keys, newest first; their secrets are stored nowhere."""
    if user is not None:
        await ask.ledger.accounts.find(user)
    found = await ask.ledger.keys.list(user, limit + 1, moment_and_id(cursor))
    rows, following = page(found, limit, lambda row: (row.created_at, row.id))
    now = await ask.ledger.database.now()
    return {"keys": [key_facts(row, now) for row in rows], "next": following}


@keys.get("/keys/{key}", roles=OPERATIONS, answer=ShownKey)
async def show(ask: Ask, key: UUID) -> dict[str, Any]:
    """Show a key without its secret."""
    return key_facts(await ask.ledger.keys.find(key), await ask.ledger.database.now())


@keys.post("/keys/{key}/revoke", roles=OPERATIONS, answer=RevokedKey)
async def revoke(ask: Ask, key: UUID) -> dict[str, Any]:
    """End a key for good, and the keys that it made: every gateway refuses them within five seconds."""
    revoked, was_in_force, others = await ask.ledger.keys.revoke_for(ask.key, key, once=ask.once)
    ended = {"was_in_force": was_in_force, "ended_with_it": others}
    return key_facts(revoked, await ask.ledger.database.now()) | ended
