"""What is known of alerts, findings and events, in the names under which the command's JSON and the API show it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jangbu.domain.mutes import Mute
    from jangbu.storage.alerts import AlertRow
    from jangbu.storage.channels import ChannelRow
    from jangbu.storage.findings import InboxRow
    from jangbu.storage.webhooks import EventRow

__all__ = [
    "alert_facts",
    "alert_state",
    "channel_facts",
    "event_facts",
    "event_state",
    "finding_facts",
    "finding_state",
    "mute_facts",
]


def alert_facts(row: "AlertRow", text: str, *, has_channels: bool) -> dict[str, object]:
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
        "state": alert_state(row, has_channels=has_channels),
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
        "state": event_state(row),
        "attempts": row.attempts,
        "error": row.error,
        "delivered_at": row.delivered_at,
        "given_up_at": row.given_up_at,
    }


def alert_state(row: "AlertRow", *, has_channels: bool) -> str:
    """Tell whether an alert arrived. One that nobody tried to send is in the log only, as soon as its time is over, and
    at once where there are no channels but the log.
    """
    if row.delivered_at is None and row.muted_at is not None:
        return "muted"
    state = event_state(row)
    is_untried = state != "delivered" and not row.attempts
    return "logged" if is_untried and (state == "given_up" or not has_channels) else state


def event_state(row: "AlertRow | EventRow") -> str:
    """Tell whether an event, or an alert, arrived."""
    if row.delivered_at is not None:
        return "delivered"
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
