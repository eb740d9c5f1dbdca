"""The webhook: an alert as a JSON body, signed so that its receiver can tell it from a forgery and from a replay."""

import json

from jangbu.alerts.signed import SignedPost, signed_post_of
from jangbu.alerts.texts import Language, text_of
from jangbu.config import Settings
from jangbu.domain.alerts import Alert

__all__ = ["Webhook", "body_of", "webhook_of"]


class Webhook:
    """Posts alerts to one address. What is sent again has the same id and a new timestamp."""

    name = "webhook"

    def __init__(self, posting: SignedPost, *, language: Language) -> None:
        self._posting = posting
        self._language: Language = language

    async def send(self, alert: Alert) -> None:
        """Post the alert. Raises AlertUndelivered unless it is answered with a status of 200 to 299."""
        await self._posting.send(str(alert.id), body_of(alert, self._language))


def webhook_of(settings: Settings) -> Webhook | None:
    """Make the webhook that the settings name, or none. Raises InvalidSettings."""
    posting = signed_post_of(
        settings.alert_webhook_url,
        settings.alert_webhook_secret,
        "alert_webhook",
        allows_private=settings.alert_private_targets,
    )
    return None if posting is None else Webhook(posting, language=settings.alert_language)


def body_of(alert: Alert, language: Language) -> bytes:
    """Give the JSON that receivers get: the same bytes however often the alert is sent."""
    told = {
        "type": "jangbu.alert",
        "id": str(alert.id),
        "project": alert.project,
        "condition": alert.condition.value,
        "phase": alert.phase.value,
        "severity": alert.severity.value,
        "key": alert.key,
        "node": alert.node,
        "raised_at": alert.raised_at.isoformat().replace("+00:00", "Z"),
        "text": text_of(alert, language),
        "facts": dict(alert.facts),
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
