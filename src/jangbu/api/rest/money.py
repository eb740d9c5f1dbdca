"""Money: the running account in nano-USD that calls with a price are charged to, from the first grant on."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import Response
from pydantic import Field

from jangbu.api.rest.accounts import EntryList, GrantList
from jangbu.api.rest.asked import Account, Ask
from jangbu.api.rest.corrections import Delta
from jangbu.api.rest.declared import MONEY, READERS, USER, Routes
from jangbu.api.rest.paging import Cursor, Limit, page, place
from jangbu.api.rest.values import Answer, Body, Moment, Number, Part, Reason, Text, Tokens, example
from jangbu.domain.ledger import Asset, Balance
from jangbu.metering.facts import entry_facts, grant_facts, money_facts

__all__ = ["money"]

money = Routes("money")

_ID = "0192f3a0-0000-7000-8000-000000000006"
_BALANCE = {"balance_nano": 5_000_000_000, "used_nano": 795_000, "available_nano": 4_999_205_000}


class MoneyOrder(Body):
    """Money that was paid or is given, in nano-USD. What expires first burns first, then the lower priority."""

    model_config = example(amount_nano=5_000_000_000)
    amount_nano: Tokens
    source: Text = "purchase"
    priority: Number = Field(0, ge=-(2**31), le=2**31 - 1)
    expires_at: Moment | None = None


class MoneyAdjustment(Body):
    """Nano-USD to add, or below zero to take away."""

    model_config = example(delta_nano=-1_000_000, reason="charged by hand")
    delta_nano: Delta
    reason: Reason


class MoneyFacts(Part):
    """What a user paid, was charged and has left, in nano-USD."""

    balance_nano: Number
    used_nano: Number
    available_nano: Number


class ShownMoney(Answer, MoneyFacts):
    """A balance of money; until one is opened by a grant nothing is charged to it, and all of it is 0."""

    model_config = example(schema_version=1, user="kim", is_open=True, **_BALANCE)
    user: str
    is_open: bool


class GrantedMoney(Answer, MoneyFacts):
    """A grant that was made; ``replayed`` tells that it was made before with this key."""

    model_config = example(
        schema_version=1,
        id=_ID,
        user="kim",
        amount_nano=5_000_000_000,
        key="order-2",
        source="purchase",
        priority=0,
        expires_at=None,
        replayed=False,
        **_BALANCE,
    )
    id: UUID
    user: str
    amount_nano: Number
    key: str
    source: str
    priority: Number
    expires_at: datetime | None
    replayed: bool


class CorrectedMoney(Answer, MoneyFacts):
    """The balance after a correction; ``replayed`` tells that it was made before."""

    model_config = example(schema_version=1, id=_ID, user="kim", replayed=False, **_BALANCE)
    id: UUID
    user: str
    replayed: bool


@money.get("/accounts/{user}/money", roles=READERS | USER, answer=ShownMoney)
async def balance(ask: Ask, user: Account) -> dict[str, Any]:
    """Show what a user paid, was charged and has left, in nano-USD."""
    found = await ask.ledger.accounts.open_balance(user, Asset.MONEY)
    return {"user": user, "is_open": found is not None, **money_facts(found or Balance())}


@money.post("/accounts/{user}/money/grants", roles=MONEY, answer=GrantedMoney, status=201, also=(200,))
async def grant(ask: Ask, user: Account, body: MoneyOrder, response: Response) -> dict[str, Any]:
    """Give a user money, once for the idempotency key; the first time that opens the balance of money."""
    posted = await ask.ledger.accounts.grant(
        user,
        body.amount_nano,
        key=ask.once,
        asset=Asset.MONEY,
        source=body.source,
        priority=body.priority,
        expires_at=body.expires_at,
    )
    response.status_code = 200 if posted.replayed else 201
    facts = {"id": posted.id, "user": user, "key": ask.once, "replayed": posted.replayed}
    return body.model_dump() | facts | money_facts(posted.balance)


@money.get("/accounts/{user}/money/grants", roles=READERS | USER, answer=GrantList)
async def list_grants(ask: Ask, user: Account) -> dict[str, Any]:
    """List the grants of money of which something is left, in nano-USD, in the order in which they burn."""
    await ask.ledger.accounts.find(user)
    return {"user": user, "grants": [grant_facts(each) for each in await ask.ledger.accounts.grants(user, Asset.MONEY)]}


@money.post("/accounts/{user}/money/adjustments", roles=MONEY, answer=CorrectedMoney, status=201, also=(200,))
async def adjust(ask: Ask, user: Account, body: MoneyAdjustment, response: Response) -> dict[str, Any]:
    """Correct a balance of money, up or down."""
    posted = await ask.ledger.accounts.adjust(
        user, body.delta_nano, reason=body.reason, key=ask.once, asset=Asset.MONEY
    )
    response.status_code = 200 if posted.replayed else 201
    return {"id": posted.id, "user": user, "replayed": posted.replayed, **money_facts(posted.balance)}


@money.get("/accounts/{user}/money/entries", roles=READERS | USER, answer=EntryList)
async def entries(ask: Ask, user: Account, limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
    """List a user's ledger entries of money, in nano-USD, newest first."""
    (before,) = (None,) if cursor is None else place(cursor, int)
    found = await ask.ledger.accounts.history(user, Asset.MONEY, before=before, limit=limit + 1)
    rows, following = page(found, limit, lambda row: (row.seq,))
    return {"user": user, "entries": [entry_facts(row) for row in rows], "next": following}
