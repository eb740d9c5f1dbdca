"""Mail, Slack, Discord, Telegram and the rest, by Apprise, where it is installed (``pip install 'jangbu[alerts]'``)."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from jangbu.alerts.texts import Language, text_of, title_of
from jangbu.config import Settings
from jangbu.domain.alerts import Alert, Severity
from jangbu.errors import AlertUndelivered, InvalidSettings

__all__ = ["Service", "services_of"]

SEND_SECONDS = 20
_KINDS = {Severity.CRITICAL: "failure", Severity.WARNING: "warning", Severity.INFO: "info"}


class Service:
    """One address of Apprise."""

    def __init__(self, name: str, sender: Any, language: Language) -> None:
        self._name = name
        self._sender = sender
        self._language: Language = language

    @property
    def name(self) -> str:
        """The kind of the service, and its number where there are several of a kind: ``slack``, ``slack-2``."""
        return self._name

    async def send(self, alert: Alert) -> None:
        """Hand the alert to the service. Raises AlertUndelivered; Apprise tells no reason that could be repeated."""
        sending = self._sender.async_notify(
            body=text_of(alert, self._language), title=title_of(alert), notify_type=_KINDS[alert.severity]
        )
        try:
            async with asyncio.timeout(SEND_SECONDS):
                taken = await sending
        except TimeoutError:
            raise AlertUndelivered(f"the service did not answer within {SEND_SECONDS} s") from None
        except Exception as error:
            raise AlertUndelivered(f"the service failed with {type(error).__name__}") from None
        if not taken:
            raise AlertUndelivered("the service did not take it", hint="check its address in JANGBU_ALERT_URLS")


def services_of(settings: Settings) -> Sequence[Service]:
    """Make a channel of each address. Raises InvalidSettings where one cannot be read, or Apprise is not there."""
    urls = "" if settings.alert_urls is None else settings.alert_urls.get_secret_value()
    if not urls.split():
        return ()
    try:
        import apprise
    except ImportError:
        raise InvalidSettings(
            "alert_urls needs Apprise, which is not installed", hint="run `pip install 'jangbu[alerts]'`"
        ) from None
    # Its own messages name the addresses that it calls, and those hold secrets.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    made: list[Service] = []
    kinds: Counter[str] = Counter()
    for number, url in enumerate(urls.split(), 1):
        sender = apprise.Apprise()
        if not sender.add(url):
            raise InvalidSettings(f"address {number} of alert_urls is none that Apprise knows", hint="see its wiki")
        kind = _kind(sender[0])
        kinds[kind] += 1
        made.append(Service(kind if kinds[kind] == 1 else f"{kind}-{kinds[kind]}", sender, settings.alert_language))
    return made


def _kind(service: Any) -> str:
    """Give what Apprise calls a kind of service: part of Apprise itself, not of the address that was given."""
    names = service.protocol or service.secure_protocol
    return str(names if isinstance(names, str) else names[0])
