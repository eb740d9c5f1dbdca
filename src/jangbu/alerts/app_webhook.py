"""The webhook to the app: what happened to one of its users, as a signed JSON body."""

import json

from jangbu.alerts.signed import SignedPost, signed_post_of
from jangbu.config import Settings
from jangbu.domain.webhooks import Event, EventKind
from jangbu.errors import InvalidSettings

__all__ = ["AppWebhook", "app_webhook_of", "event_body", "told_low", "wanted_kinds"]


class AppWebhook:
    """Posts events to the app's address."""

    def __init__(self, posting: SignedPost) -> None:
        self._posting = posting

    async def send(self, event: Event) -> None:
        """Post the event. Raises AlertUndelivered unless it is answered with a status of 200 to 299."""
        await self._posting.send(str(event.id), event_body(event))


def app_webhook_of(settings: Settings) -> AppWebhook | None:
    """Make the webhook that the settings name, or none. Raises InvalidSettings."""
    wanted_kinds(settings)
    posting = signed_post_of(
        settings.webhook_url,
        settings.webhook_secret,
        "webhook",
        allows_private=settings.alert_private_targets,
    )
    return None if posting is None else AppWebhook(posting)


def wanted_kinds(settings: Settings) -> frozenset[EventKind]:
    """Give the events that the app is told; all where the settings name none. Raises InvalidSettings."""
    known = {each.value: each for each in EventKind if each is not EventKind.TEST}
    named = [each for each in map(str.strip, settings.webhook_events.split(",")) if each]
    for each in named:
        if each not in known:
            raise InvalidSettings(
                f"setting webhook_events: {each[:40]!r} is no event", hint=f"there are {', '.join(known)}"
            )
    return frozenset(known[each] for each in named or known)


def told_low(settings: Settings) -> int | None:
    """Give below how many tokens the app is told that a balance is low, None where it is not told of any."""
    is_told = settings.webhook_url is not None and EventKind.BALANCE_LOW in wanted_kinds(settings)
    return settings.low_balance_tokens or None if is_told else None


def event_body(event: Event) -> bytes:
    """Give the JSON that receivers get: the same bytes however often the event is sent."""
    told = {
        "type": event.kind.value,
        "id": str(event.id),
        "timestamp": event.created_at.isoformat().replace("+00:00", "Z"),
        "project": event.project,
        "data": {"user": event.user, **event.facts},
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
