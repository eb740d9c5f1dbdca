"""What is known of things, in the names under which the command's JSON and the API show it: the one place for both."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from jangbu.domain.amounts import Amounts
    from jangbu.domain.flow import Receipt
    from jangbu.domain.forecast import Expiring
    from jangbu.domain.keys import Key
    from jangbu.domain.ledger import Balance, Grant
    from jangbu.domain.members import Member
    from jangbu.domain.usage import Usage
    from jangbu.metering.call_search import NamedCall
    from jangbu.metering.explain import Explanation
    from jangbu.metering.logs import Logged
    from jangbu.metering.reports import Figures
    from jangbu.metering.verify import Mismatch
    from jangbu.prices import Change
    from jangbu.storage.accounts import AccountRow
    from jangbu.storage.entries import EntryRow

__all__ = [
    "account_facts",
    "amounts_facts",
    "balance_facts",
    "call_facts",
    "entry_facts",
    "expiring_facts",
    "explanation_facts",
    "figures_facts",
    "grant_facts",
    "has_no_price",
    "key_facts",
    "member_facts",
    "mismatch_facts",
    "money_facts",
    "named_call_facts",
    "price_change_facts",
    "receipt_facts",
]

_KEPT_AS_TEXT = ("raw", "metadata")
_MONEY = ("cost_nano", "input_cost_nano", "output_cost_nano", "charge_nano")


def balance_facts(found: "Balance") -> dict[str, int]:
    """Give a balance in the guide's words."""
    return {
        "balance": found.granted,
        "used_tokens": found.used,
        "held_tokens": found.held,
        "available": found.available,
    }


def expiring_facts(found: "Expiring | None") -> dict[str, Any] | None:
    """Give what expires soon as JSON; null where nothing does."""
    return None if found is None else asdict(found)


def money_facts(found: "Balance") -> dict[str, int]:
    """Give a balance of money, in nano-USD; nothing is ever held of it."""
    return {
        "balance_nano": found.granted,
        "used_nano": found.used,
        "available_nano": found.available,
    }


def account_facts(account: "AccountRow") -> dict[str, Any]:
    """Give an account as JSON."""
    return {
        "user": account.user,
        "account_id": account.id,
        "state": account.state,
        "created_at": account.created_at,
        **balance_facts(account.balance),
    }


def grant_facts(found: "Grant") -> dict[str, Any]:
    """Give a grant as JSON."""
    return {
        "id": found.id,
        "amount": found.amount,
        "consumed": found.consumed,
        "expired": found.expired,
        "remaining": found.remaining,
        "source": found.source,
        "priority": found.priority,
        "expires_at": found.expires_at,
        "created_at": found.created_at,
    }


def entry_facts(entry: "EntryRow") -> dict[str, Any]:
    """Give an entry as JSON."""
    return {
        "seq": entry.seq,
        "kind": entry.kind,
        "delta": entry.delta,
        "balance_after": entry.balance_after,
        "created_at": entry.created_at,
        "reference": entry.reference,
        "posting": entry.posting,
        "key": entry.given_key,
        "reason": entry.reason,
    }


def call_facts(found: "Logged") -> dict[str, Any]:
    """Give a call of a list as JSON, with how it ended."""
    call = found.call
    return {
        "id": call.id,
        "created_at": call.created_at,
        "service": call.service,
        "model": call.model,
        "prompt_tokens": call.prompt_tokens,
        "completion_tokens": call.completion_tokens,
        "total_tokens": call.total_tokens,
        "cost_nano": call.cost_nano,
        "status": found.ending,
        "anomalies": call.anomalies,
    }


def named_call_facts(found: "NamedCall") -> dict[str, Any]:
    """Give a call that somebody knows a name of as JSON, with what tells it from others of that name."""
    return {"id": found.id, "user": found.user, "created_at": found.created_at}


def key_facts(key: "Key", now: "datetime") -> dict[str, Any]:
    """Give a key as JSON, without its secret."""
    return {
        "id": key.id,
        "kind": key.kind,
        "name": key.name,
        "user": key.user,
        "hint": key.hint,
        "scopes": key.scopes,
        "models": key.models,
        "requests_per_minute": key.requests_per_minute,
        "tokens_per_minute": key.tokens_per_minute,
        "concurrent_calls": key.concurrent_calls,
        "expires_at": key.expires_at,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
        "made_by": key.made_by,
        "state": key.state(now),
    }


def member_facts(member: "Member") -> dict[str, Any]:
    """Give a member as JSON; of the password only whether there is one."""
    identity = member.identity
    return {
        "id": member.id,
        "name": member.name,
        "role": member.role,
        "state": member.state,
        "has_password": member.has_password,
        "issuer": None if identity is None else identity.issuer,
        "created_at": member.created_at,
        "last_signed_in_at": member.last_signed_in_at,
        "blocked_at": member.blocked_at,
    }


def receipt_facts(receipt: "Receipt", usage: "Usage") -> dict[str, Any]:
    """Give a receipt as JSON, with what does not add up in the answer."""
    return asdict(receipt) | {"anomalies": usage.anomalies}


def explanation_facts(found: "Explanation") -> dict[str, Any]:
    """Give everything that is known of a call as JSON."""
    record = {name: value for name, value in asdict(found.record).items() if name not in _KEPT_AS_TEXT}
    metadata = found.record.metadata
    return record | {
        "metadata": None if metadata is None else json.loads(metadata),
        "evidence": found.evidence,
        "sum": found.sum_text,
        "price_lines": [asdict(line) for line in found.price.lines] if found.price else [],
        "unpriced": [asdict(reason) for reason in found.price.unpriced] if found.price else [],
        "overrun": found.overrun,
        "entry": _entry(found.entry),
        "money_entry": _entry(found.money_entry),
        "balance_after": found.balance_after,
        "returns": [entry_facts(entry) for entry in found.returns],
        "money_returns": [entry_facts(entry) for entry in found.money_returns],
        "net_tokens": found.net_tokens,
    }


def _entry(entry: "EntryRow | None") -> dict[str, Any] | None:
    return None if entry is None else entry_facts(entry)


def figures_facts(figures: "Figures") -> dict[str, int | None]:
    """Give figures as JSON; money is null where none of the calls has a price."""
    found: dict[str, int | None] = asdict(figures)
    if has_no_price(figures):
        found |= dict.fromkeys(_MONEY)
    return found


def amounts_facts(amounts: "Amounts") -> dict[str, int | None]:
    """Give sums over calls as JSON, in the words of figures."""
    found: dict[str, int | None] = {
        "calls": amounts.calls,
        "prompt_tokens": amounts.input_tokens,
        "completion_tokens": amounts.completion_tokens,
        "cached_tokens": amounts.cached_tokens,
        "total_tokens": amounts.total_tokens,
        "average_tokens": amounts.average_tokens,
        "cost_nano": amounts.cost_nano,
        "input_cost_nano": amounts.input_cost_nano,
        "output_cost_nano": amounts.output_cost_nano,
        "charge_nano": amounts.charge_nano,
        "unpriced": amounts.unpriced,
    }
    return found | dict.fromkeys(_MONEY) if has_no_price(amounts) else found


def has_no_price(figures: "Figures | Amounts") -> bool:
    """Tell whether calls were made, and none of them has a price."""
    return figures.calls > 0 and figures.unpriced == figures.calls


def price_change_facts(change: "Change") -> dict[str, Any]:
    """Give what differs between two price books in one row as JSON."""
    return {
        "kind": change.kind,
        "before": change.before and change.before.to_row(),
        "after": change.after and change.after.to_row(),
    }


def mismatch_facts(mismatch: "Mismatch") -> dict[str, Any]:
    """Give a figure that is not what it should be as JSON."""
    return {
        "invariant": mismatch.invariant,
        "account_id": mismatch.account,
        "user": mismatch.user,
        "what": mismatch.what,
        "expected": mismatch.expected,
        "found": mismatch.found,
    }
