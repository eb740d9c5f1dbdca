"""Accounts: opened, shown, listed, blocked; what was granted, what is left, and the entries that say why."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import Response
from pydantic import Field

from jangbu.api.rest.account_parts import AccountFacts, BalanceFacts, EntryFacts, ExpiringFacts, GrantFacts
from jangbu.api.rest.asked import Account, Ask
from jangbu.api.rest.declared import MONEY, OWNERS, READERS, USER, WRITERS, Routes
from jangbu.api.rest.paging import Cursor, Limit, page, place
from jangbu.api.rest.values import Answer, Body, Moment, Number, Text, Tokens, example
from jangbu.metering.erasing import erase as forget
from jangbu.metering.facts import account_facts, balance_facts, entry_facts, expiring_facts, grant_facts

__all__ = ["accounts"]

accounts = Routes("accounts")

_CALL = "0192f3a0-0000-7000-8000-000000000001"
_BALANCE = {"balance": 1_000_000, "used_tokens": 450, "held_tokens": 0, "available": 999_550}
_ACCOUNT = {
    "user": "kim",
    "account_id": "0a9c8c3b-6f43-5d2d-9f2a-0c6b8d2b7f11",
    "state": "active",
    "created_at": "2026-01-31T09:00:00Z",
    **_BALANCE,
}


class Opening(Body):
    """Whose account is opened."""

    model_config = example(user="kim")
    user: Text


class GrantOrder(Body):
    """Tokens that were bought or are given. What expires first burns first, then what has the lower priority."""

    model_config = example(amount=1_000_000, expires_at="2027-12-31T00:00:00Z")
    amount: Tokens
    source: Text = "purchase"
    priority: Number = Field(0, ge=-(2**31), le=2**31 - 1)
    expires_at: Moment | None = None


class OpenedAccount(Answer, AccountFacts):
    """An account that is open."""

    model_config = example(schema_version=1, **_ACCOUNT, is_new=True)
    is_new: bool


class ShownAccount(Answer, AccountFacts):
    """An account and the grants that are left."""

    model_config = example(schema_version=1, **_ACCOUNT, grants=[])
    grants: list[GrantFacts]


class BlockedAccount(Answer, AccountFacts):
    """An account after it was blocked or unblocked; ``replayed`` tells that nothing was done now."""

    model_config = example(schema_version=1, **{**_ACCOUNT, "state": "blocked"}, replayed=False)
    replayed: bool


class ErasedAccount(Answer):
    """An account that names nobody any more; ``replayed`` tells that it was so before."""

    model_config = example(
        schema_version=1,
        account_id=_ACCOUNT["account_id"],
        name=f"erased:{_ACCOUNT['account_id']}",
        replayed=False,
    )
    account_id: UUID
    name: str
    replayed: bool


class AccountList(Answer):
    """Accounts in the order of their users."""

    model_config = example(schema_version=1, accounts=[_ACCOUNT], next=None)
    accounts: list[AccountFacts]
    next: str | None


class Granted(Answer, BalanceFacts):
    """A grant that was made; ``replayed`` tells that it was made before with this key."""

    model_config = example(
        schema_version=1,
        id=_CALL,
        user="kim",
        amount=1_000_000,
        key="order-1",
        source="purchase",
        priority=0,
        expires_at=None,
        replayed=False,
        **_BALANCE,
    )
    id: UUID
    user: str
    amount: Number
    key: str
    source: str
    priority: Number
    expires_at: datetime | None
    replayed: bool


class GrantList(Answer):
    """Grants in the order in which they burn."""

    model_config = example(schema_version=1, user="kim", grants=[])
    user: str
    grants: list[GrantFacts]


class ShownBalance(Answer, BalanceFacts):
    """A balance; ``expiring`` is what of it expires soon unless it is used, null where nothing does."""

    model_config = example(
        schema_version=1,
        user="kim",
        **_BALANCE,
        expiring={"tokens": 5_000, "first_at": "2026-02-02T15:00:00Z", "last_at": "2026-02-05T15:00:00Z"},
    )
    user: str
    expiring: ExpiringFacts | None


class EntryList(Answer):
    """Entries, newest first."""

    model_config = example(
        schema_version=1,
        user="kim",
        entries=[
            {
                "seq": 2,
                "kind": "usage",
                "delta": -450,
                "balance_after": 999_550,
                "created_at": "2026-01-31T09:00:01Z",
                "reference": None,
                "posting": 1,
                "key": None,
                "reason": None,
            }
        ],
        next=None,
    )
    user: str
    entries: list[EntryFacts]
    next: str | None


@accounts.post("/accounts", roles=WRITERS, answer=OpenedAccount, status=201, also=(200,))
async def create(ask: Ask, body: Opening, response: Response) -> dict[str, Any]:
    """Open an account for a user. Again it changes nothing, and answers 200."""
    is_new = await ask.ledger.accounts.create(body.user, key=ask.once)
    response.status_code = 201 if is_new else 200
    return account_facts(await ask.ledger.accounts.find(body.user)) | {"is_new": is_new}


@accounts.get("/accounts", roles=READERS, answer=AccountList)
async def list_accounts(ask: Ask, limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
    """List accounts in the order of their users."""
    (after,) = ("",) if cursor is None else place(cursor, str)
    rows, following = page(await ask.ledger.accounts.page(after, limit + 1), limit, lambda row: (row.user,))
    return {"accounts": [account_facts(row) for row in rows], "next": following}


@accounts.get("/accounts/{user}", roles=READERS | USER, answer=ShownAccount)
async def show(ask: Ask, user: Account) -> dict[str, Any]:
    """Show an account, its balance and the grants that are left."""
    grants = await ask.ledger.accounts.grants(user)
    return account_facts(await ask.ledger.accounts.find(user)) | {"grants": [grant_facts(each) for each in grants]}


@accounts.post("/accounts/{user}/block", roles=WRITERS, answer=BlockedAccount)
async def block(ask: Ask, user: Account) -> dict[str, Any]:
    """Refuse new calls of a user; what is under way is still recorded."""
    done = await ask.ledger.accounts.block(user, key=ask.once)
    return account_facts(await ask.ledger.accounts.find(user)) | {"replayed": not done}


@accounts.post("/accounts/{user}/unblock", roles=WRITERS, answer=BlockedAccount)
async def unblock(ask: Ask, user: Account) -> dict[str, Any]:
    """Admit a user's calls again."""
    done = await ask.ledger.accounts.block(user, False, key=ask.once)
    return account_facts(await ask.ledger.accounts.find(user)) | {"replayed": not done}


@accounts.post("/accounts/{user}/erase", roles=OWNERS, answer=ErasedAccount)
async def erase(ask: Ask, user: Account) -> dict[str, Any]:
    """Forget who a user was, for good: their name, keys, tags and files. What they used stays in every sum.

    Their calls are refused from then on. Again it forgets what came since, under whatever key: with the keys of the
    user's writes this one is forgotten, too.
    """
    erased = await forget(ask.ledger, ask.parts.project, user, key=ask.once)
    return {"account_id": erased.account, "name": erased.name, "replayed": not erased.is_new}


@accounts.get("/accounts/{user}/balance", roles=READERS | USER, answer=ShownBalance)
async def balance(ask: Ask, user: Account) -> dict[str, Any]:
    """Show what a user bought, used, holds and has left, in tokens, and what of it expires within seven days."""
    found, expiring = await ask.ledger.accounts.balance_and_expiring(user)
    return {"user": user, **balance_facts(found), "expiring": expiring_facts(expiring)}


@accounts.post("/accounts/{user}/grants", roles=MONEY, answer=Granted, status=201, also=(200,))
async def grant(ask: Ask, user: Account, body: GrantOrder, response: Response) -> dict[str, Any]:
    """Give a user tokens that were bought or are a gift, once for the idempotency key."""
    posted = await ask.ledger.accounts.grant(
        user,
        body.amount,
        key=ask.once,
        source=body.source,
        priority=body.priority,
        expires_at=body.expires_at,
    )
    response.status_code = 200 if posted.replayed else 201
    facts = {"id": posted.id, "user": user, "key": ask.once, "replayed": posted.replayed}
    return body.model_dump() | facts | balance_facts(posted.balance)


@accounts.get("/accounts/{user}/grants", roles=READERS | USER, answer=GrantList)
async def list_grants(ask: Ask, user: Account) -> dict[str, Any]:
    """List the grants of which something is left, in the order in which they burn."""
    await ask.ledger.accounts.find(user)
    return {"user": user, "grants": [grant_facts(each) for each in await ask.ledger.accounts.grants(user)]}


@accounts.get("/accounts/{user}/entries", roles=READERS | USER, answer=EntryList)
async def entries(ask: Ask, user: Account, limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
    """List a user's ledger entries, newest first."""
    (before,) = (None,) if cursor is None else place(cursor, int)
    found = await ask.ledger.accounts.history(user, before=before, limit=limit + 1)
    rows, following = page(found, limit, lambda row: (row.seq,))
    return {"user": user, "entries": [entry_facts(row) for row in rows], "next": following}
