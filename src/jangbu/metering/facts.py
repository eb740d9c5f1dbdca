"""What is known of things, in the names under which the command's JSON and the API show it: the one place for both."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from jangbu.domain.flow import Receipt
    from jangbu.domain.keys import Key
    from jangbu.domain.ledger import Balance, Grant
    from jangbu.domain.members import Member
    from jangbu.domain.mutes import Mute
    from jangbu.domain.usage import Usage
    from jangbu.metering.explain import Explanation
    from jangbu.metering.reports import Figures
    from jangbu.metering.verify import Mismatch
    from jangbu.prices import Change
    from jangbu.storage.accounts import AccountRow
    from jangbu.storage.alerts import AlertRow
    from jangbu.storage.channels import ChannelRow
    from jangbu.storage.entries import EntryRow
    from jangbu.storage.findings import InboxRow
    from jangbu.storage.webhooks import EventRow

__all__ = [
    "account_facts",
    "alert_facts",
    "alert_state",
    "balance_facts",
    "channel_facts",
    "entry_facts",
    "event_facts",
    "explanation_facts",
    "figures_facts",
    "finding_facts",
    "finding_state",
    "grant_facts",
    "has_no_price",
    "key_facts",
    "member_facts",
    "mismatch_facts",
    "money_facts",
    "mute_facts",
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
        "reason": entry.reason,
    }


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


def has_no_price(figures: "Figures") -> bool:
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


def alert_facts(row: "AlertRow", text: str) -> dict[str, object]:
    """Give an alert as JSON, with its words for people."""
    alert = row.alert
    return {
        "id": alert.id,
        "condition": alert.condition,
        "phase": alert.phase,
        "severity": alert.severity,
        "node": alert.node,
        "raised_at": alert.raised_at,
        "text": text,
        "facts": alert.facts,
        "state": alert_state(row),
        "attempts": row.attempts,
        "delivered_to": list(row.delivered_to),
        "errors": row.errors,
        "delivered_at": row.delivered_at,
        "given_up_at": row.given_up_at,
        "muted_at": row.muted_at,
    }


def event_facts(row: "EventRow") -> dict[str, object]:
    """Give an event of the webhook to the app as JSON."""
    event = row.event
    return {
        "id": event.id,
        "type": event.kind,
        "created_at": event.created_at,
        "data": {"user": event.user, **event.facts},
        "state": alert_state(row),
        "attempts": row.attempts,
        "error": row.error,
        "delivered_at": row.delivered_at,
        "given_up_at": row.given_up_at,
    }


def alert_state(row: "AlertRow | EventRow") -> str:
    """Tell whether an alert, or an event, arrived."""
    if row.delivered_at is not None:
        return "delivered"
    if getattr(row, "muted_at", None) is not None:
        return "muted"
    return "waiting" if row.given_up_at is None else "given_up"


def finding_facts(row: "InboxRow") -> dict[str, object]:
    """Give a finding as JSON."""
    return {
        "call": row.call,
        "user": row.user,
        "kind": row.kind,
        "state": finding_state(row),
        "detail": row.detail,
        "held": row.held,
        "used": row.used,
        "created_at": row.created_at,
        "acknowledged_at": row.acknowledged_at,
        "acknowledged_by": row.acknowledged_by,
        "resolved_at": row.resolved_at,
        "resolved_by": row.resolved_by,
        "resolution": row.resolution,
    }


def finding_state(row: "InboxRow") -> str:
    """Tell how far somebody is with a finding."""
    if row.resolved_at is not None:
        return "resolved"
    return "new" if row.acknowledged_at is None else "acknowledged"


def mute_facts(mute: "Mute") -> dict[str, object]:
    """Give a mute as JSON."""
    return {
        "condition": mute.condition,
        "muted_at": mute.muted_at,
        "until": mute.until,
        "ended_at": mute.ended_at,
        "muted_by": mute.muted_by,
        "reason": mute.reason,
    }


def channel_facts(row: "ChannelRow") -> dict[str, object]:
    """Give how a channel stands as JSON; whether its latest test arrived is null until that has ended."""
    return {
        "channel": row.channel,
        "delivered_at": row.delivered_at,
        "failing": row.failing,
        "error": row.error,
        "tested_at": row.tested_at,
        "tested_by": row.tested_by,
        "test_arrived": None if row.test_ended_at is None else row.test_error is None,
        "test_error": row.test_error,
    }
