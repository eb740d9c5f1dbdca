"""Tokens by which a user sees their own account in the app's pages: made for one user, and ended all at once."""

from datetime import datetime
from typing import Any

from pydantic import Field

from jangbu.api.rest.asked import Account, Ask
from jangbu.api.rest.declared import OPERATIONS, VIEWS, Routes
from jangbu.api.rest.values import Answer, Body, example
from jangbu.metering.view_tokens import SECONDS, SECONDS_LEAST, SECONDS_MAX

__all__ = ["view_tokens"]

view_tokens = Routes("view_tokens")


class ViewTokenOrder(Body):
    """For how long the token is good."""

    model_config = example(seconds=900)
    seconds: int = Field(SECONDS, strict=True, ge=SECONDS_LEAST, le=SECONDS_MAX)


class MadeViewToken(Answer):
    """A token that opens the view of one user until it expires. It is stored nowhere."""

    model_config = example(
        schema_version=1,
        user="kim",
        token="eyJ0eXAiOiJKV1Qi…",  # noqa: S106 - an example
        expires_at="2026-01-31T09:15:00Z",
    )
    user: str
    token: str
    expires_at: datetime


class RevokedViewTokens(Answer):
    """All tokens that were made are over; ``replayed`` tells that nothing was done now."""

    model_config = example(schema_version=1, replayed=False)
    replayed: bool


@view_tokens.post(
    "/accounts/{user}/view-token", roles=OPERATIONS | VIEWS, answer=MadeViewToken, status=201, is_kept=False
)
async def create(ask: Ask, user: Account, body: ViewTokenOrder) -> dict[str, Any]:
    """Make a token by which a user's own view may be read for a while. Nothing is written, so no key is needed."""
    made = await ask.ledger.view_tokens.make(user, body.seconds)
    return {"user": made.user, "token": made.text, "expires_at": made.expires_at}


@view_tokens.post("/view-tokens/revoke", roles=OPERATIONS, answer=RevokedViewTokens)
async def revoke(ask: Ask) -> dict[str, Any]:
    """End all tokens of views that were made until now, everybody's, at once."""
    return {"replayed": not await ask.ledger.view_tokens.revoke_all(once=ask.once)}
