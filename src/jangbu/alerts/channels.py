"""The channels by which alerts leave, made from the settings: a webhook, and Apprise for everything else.

The log is no channel of the outbox: an alert is logged where it is raised, so it is in a log whatever else works.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

from jangbu.alerts.services import services_of
from jangbu.alerts.texts import Language, text_of, title_of
from jangbu.alerts.webhook import webhook_of
from jangbu.config import Settings
from jangbu.domain.alerts import Alert, Severity

__all__ = ["Channel", "Log", "channels_of"]

_LEVELS = {Severity.CRITICAL: logging.ERROR, Severity.WARNING: logging.WARNING, Severity.INFO: logging.WARNING}
"""An end is logged as loudly as what it ends: whoever saw the one wants to see the other."""


class Channel(Protocol):
    """A way to somebody. ``name`` is shown in logs, lists and metrics, and holds nothing of an address."""

    @property
    def name(self) -> str:
        """What the channel is called; the same on every node that has the same settings."""
        ...

    async def send(self, alert: Alert) -> None:
        """Hand the alert over. Raises AlertUndelivered where it was not taken."""
        ...


class Log:
    """The log of the process."""

    name = "log"

    def __init__(self, language: Language) -> None:
        self._language: Language = language
        self._log = logging.getLogger("jangbu.alerts")

    def write(self, alert: Alert) -> None:
        """Log the alert."""
        self._log.log(
            _LEVELS[alert.severity], "%s %s (alert %s)", title_of(alert), text_of(alert, self._language), alert.id
        )

    async def send(self, alert: Alert) -> None:
        """Log the alert as any other channel would take it."""
        self.write(alert)


def channels_of(settings: Settings) -> Sequence[Channel]:
    """Make the channels that the settings name, but for the log. Raises InvalidSettings, which repeats no address."""
    webhook = webhook_of(settings)
    services = services_of(settings)
    return services if webhook is None else (webhook, *services)
