"""The webhook: an alert as a JSON body, signed so that its receiver can tell it from a forgery and from a replay."""

import json
import time

from jangbu.alerts.egress import Target, post
from jangbu.alerts.signature import secret_bytes, signature_of
from jangbu.alerts.texts import Language, text_of
from jangbu.config import Settings
from jangbu.domain.alerts import Alert
from jangbu.errors import InvalidSettings

__all__ = ["Webhook", "body_of", "webhook_of"]

SEND_SECONDS = 10
_AGENT = "jangbu"


class Webhook:
    """Posts alerts to one address. What is sent again has the same id and a new timestamp."""

    name = "webhook"

    def __init__(self, target: Target, key: bytes, *, language: Language, allows_private: bool) -> None:
        self._target = target
        self._key = key
        self._language: Language = language
        self._allows_private = allows_private

    async def send(self, alert: Alert) -> None:
        """Post the alert. Raises AlertUndelivered unless it is answered with a status of 200 to 299."""
        body = body_of(alert, self._language)
        timestamp = int(time.time())
        headers = (
            ("content-type", "application/json"),
            ("user-agent", _AGENT),
            ("webhook-id", str(alert.id)),
            ("webhook-timestamp", str(timestamp)),
            ("webhook-signature", signature_of(self._key, id_=str(alert.id), timestamp=timestamp, body=body)),
        )
        await post(self._target, body, headers, allows_private=self._allows_private, seconds=SEND_SECONDS)


def webhook_of(settings: Settings) -> Webhook | None:
    """Make the webhook that the settings name, or none. Raises InvalidSettings."""
    if settings.alert_webhook_url is None:
        if settings.alert_webhook_secret is not None:
            raise InvalidSettings("alert_webhook_secret signs nothing", hint="set alert_webhook_url too")
        return None
    if settings.alert_webhook_secret is None:
        raise InvalidSettings(
            "alert_webhook_url has no secret to sign with",
            hint="set JANGBU_ALERT_WEBHOOK_SECRET, for example to whsec_ and the output of `openssl rand -base64 32`",
        )
    return Webhook(
        Target.read(settings.alert_webhook_url.get_secret_value(), "alert_webhook_url"),
        secret_bytes(settings.alert_webhook_secret.get_secret_value()),
        language=settings.alert_language,
        allows_private=settings.alert_private_targets,
    )


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
