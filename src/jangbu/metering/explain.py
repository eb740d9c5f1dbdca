"""One call explained: from the provider's own words to the debit, with nothing left to believe."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jangbu.domain.ledger import Asset
from jangbu.domain.pricing import Cost
from jangbu.errors import NotFound
from jangbu.metering.retention import dropped_by_retention
from jangbu.storage import entries, reports, usage
from jangbu.storage.database import Database
from jangbu.storage.entries import EntryRow
from jangbu.storage.usage import UsageRecord

PriceLines = Callable[[UsageRecord], Awaitable[Cost]]
"""Prices a record line by line, by the price version that priced it."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known of one call.

    ``evidence`` holds the provider's usage objects verbatim; ``sum_text`` writes out how the total comes about.
    ``entry`` is the debit that holds the call, alone or with others of its posting, and ``money_entry`` the same in
    money; None where nothing was debited. ``balance_after`` is the token balance after that debit. ``overrun`` is what
    exceeded the hold. ``returns`` are later refunds and voids, and ``net_tokens`` is what remains charged after them;
    ``money_returns`` are those of money.
    """

    record: UsageRecord
    evidence: Any
    sum_text: str
    price: Cost | None
    hold_amount: int | None
    overrun: int
    entry: EntryRow | None
    money_entry: EntryRow | None
    balance_after: int | None
    returns: tuple[EntryRow, ...]
    money_returns: tuple[EntryRow, ...]
    net_tokens: int


async def explain(
    database: Database, project: str, call: UUID, account: UUID | None, price_lines: PriceLines | None
) -> Explanation:
    """Explain a call; its account is looked for where it is not given. Raises NotFound."""
    owner = account or await usage.find_account(database, project, call)
    record = None if owner is None else await usage.find(database, owner, call)
    if record is None:
        raise await dropped_by_retention(database, call, project=project, account=account) or NotFound(
            f"there is no record of call {call}", hint="a call that is under way shows in `jangbu holds list`"
        )
    is_overrun = record.hold_amount is not None and record.total > record.hold_amount
    entry = await _entry(database, record, Asset.TOKENS, record.posting if record.total else None, is_overrun)
    returns = await reports.returns(database, record.account_id, record.id, Asset.TOKENS)
    return Explanation(
        record=record,
        evidence=json.loads(record.raw),
        sum_text=sum_text(record),
        price=None if price_lines is None else await price_lines(record),
        hold_amount=record.hold_amount,
        overrun=record.total - (record.hold_amount or 0) if is_overrun else 0,
        entry=entry,
        money_entry=await _entry(database, record, Asset.MONEY, record.money_posting, is_overrun),
        balance_after=entry.balance_after if entry else None,
        returns=returns,
        money_returns=await reports.returns(database, record.account_id, record.id, Asset.MONEY),
        net_tokens=record.total - sum(given.delta for given in returns),
    )


def sum_text(record: UsageRecord) -> str:
    """Write out the sum of the counts, and whether it is the total that was charged."""
    summed = record.prompt + record.candidates + record.thoughts + record.tool
    parts = (
        f"prompt {record.prompt:,} + candidates {record.candidates:,} + thoughts {record.thoughts:,}"
        f" + tool {record.tool:,} = {summed:,}"
    )
    if summed == record.total:
        return f"{parts}, charged {record.total:,}"
    flags = ", ".join(record.anomalies) or "not flagged"
    return f"{parts}, but charged {record.total:,} as reported ({flags})"


async def _entry(
    database: Database, record: UsageRecord, asset: Asset, posting: int | None, is_overrun: bool
) -> EntryRow | None:
    """Give the debit that holds the record; a call that costs nothing has none, whatever else its posting debited."""
    if posting is None:
        return None
    return await entries.find_of_usage(database, record.account_id, asset, posting, overrun=is_overrun)
