"""Corrections: tokens given back or taken away for a reason. They are entries of their own, never edits."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Response
from pydantic import Field

from jangbu.api.rest.account_parts import BalanceFacts
from jangbu.api.rest.asked import Account, Ask
from jangbu.api.rest.declared import MONEY, Routes
from jangbu.api.rest.values import Answer, Body, Reason, Tokens, example
from jangbu.domain.ledger import TOKENS_MAX
from jangbu.metering.facts import balance_facts
from jangbu.metering.postings import Posted

__all__ = ["Delta", "corrections"]

corrections = Routes("corrections")

_CALL = "0192f3a0-0000-7000-8000-000000000001"

Delta = Annotated[int, Field(strict=True, ge=-TOKENS_MAX, le=TOKENS_MAX)]


class Refund(Body):
    """Part of what a call was charged."""

    model_config = example(call=_CALL, amount=150, reason="the image was never shown")
    call: UUID
    amount: Tokens
    reason: Reason


class Void(Body):
    """A call that shall not be charged at all."""

    model_config = example(call=_CALL, reason="the image was never shown")
    call: UUID
    reason: Reason


class Adjustment(Body):
    """Tokens to add, or below zero to take away."""

    model_config = example(delta=-500, reason="granted twice by hand")
    delta: Delta
    reason: Reason


class Corrected(Answer, BalanceFacts):
    """The balance after a correction; ``replayed`` tells that it was made before."""

    model_config = example(
        schema_version=1,
        id="0192f3a0-0000-7000-8000-000000000005",
        user="kim",
        replayed=False,
        balance=1_000_150,
        used_tokens=450,
        held_tokens=0,
        available=999_700,
    )
    id: UUID
    user: str
    replayed: bool


@corrections.post("/accounts/{user}/refunds", roles=MONEY, answer=Corrected, status=201, also=(200,))
async def refund(ask: Ask, user: Account, body: Refund, response: Response) -> dict[str, Any]:
    """Give back part of what a call was charged, in tokens; its record stays."""
    posted = await ask.ledger.accounts.refund(user, body.call, body.amount, reason=body.reason, key=ask.once)
    return _facts(user, posted, response)


@corrections.post("/accounts/{user}/voids", roles=MONEY, answer=Corrected, status=201, also=(200,))
async def void(ask: Ask, user: Account, body: Void, response: Response) -> dict[str, Any]:
    """Give back all that a call was charged and was not given back yet, tokens and money, once; its record stays."""
    posted = await ask.ledger.accounts.void(user, body.call, reason=body.reason, key=ask.once)
    return _facts(user, posted, response)


@corrections.post("/accounts/{user}/adjustments", roles=MONEY, answer=Corrected, status=201, also=(200,))
async def adjust(ask: Ask, user: Account, body: Adjustment, response: Response) -> dict[str, Any]:
    """Correct a balance of tokens, up or down."""
    posted = await ask.ledger.accounts.adjust(user, body.delta, reason=body.reason, key=ask.once)
    return _facts(user, posted, response)


def _facts(user: str, posted: Posted, response: Response) -> dict[str, Any]:
    response.status_code = 200 if posted.replayed else 201
    return {"id": posted.id, "user": user, "replayed": posted.replayed, **balance_facts(posted.balance)}
