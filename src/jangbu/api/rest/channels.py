"""Channels: by which alerts leave and the app is told, how each stands, and a test of each."""

from datetime import datetime
from typing import Any

from jangbu.api.rest.asked import Ask, Asked
from jangbu.api.rest.declared import OPERATIONS, READERS, Routes
from jangbu.api.rest.values import Answer, Number, Part, example
from jangbu.errors import AlertUndelivered, NotFound
from jangbu.metering.alert_facts import channel_facts
from jangbu.metering.channels import APP, Channels

__all__ = ["channels"]

channels = Routes("channels")

_AT = "2026-01-31T09:00:00Z"
_CHANNEL = {
    "channel": "webhook",
    "delivered_at": _AT,
    "failing": 0,
    "error": None,
    "tested_at": _AT,
    "tested_by": "support",
    "test_arrived": False,
    "test_error": "the receiver answered 503",
}


class ChannelFacts(Part):
    """How a channel stands.

    ``failing`` counts alerts of a day that it did not take yet, ``error`` says why the latest was not taken. Whether
    the latest test arrived is null where there was none, or it has not ended.
    """

    channel: str
    delivered_at: datetime | None
    failing: Number
    error: str | None
    tested_at: datetime | None
    tested_by: str | None
    test_arrived: bool | None
    test_error: str | None


class ChannelList(Answer):
    """The channels that this process has, the log's first; ``app`` is the webhook to the app, where there is one."""

    model_config = example(schema_version=1, channels=[_CHANNEL])
    channels: list[ChannelFacts]


class Tested(Answer, ChannelFacts):
    """The channel after its test; ``replayed`` tells that the key stands for the test since before."""

    model_config = example(schema_version=1, **_CHANNEL, replayed=False)
    replayed: bool


@channels.get("/alerts/channels", roles=READERS, answer=ChannelList)
async def list_channels(ask: Ask) -> dict[str, Any]:
    """List the channels and how each stands."""
    return {"channels": [channel_facts(row) for row in await _channels(ask).states(_names(ask))]}


@channels.post("/alerts/channels/{channel}/test", roles=OPERATIONS, answer=Tested)
async def test(ask: Ask, channel: str) -> dict[str, Any]:
    """Send a test through a channel, at most twice a minute, and tell whether it arrived."""
    alerts, webhooks = ask.ledger.alerts, ask.ledger.webhooks
    if channel not in _names(ask):
        raise NotFound(f"there is no channel {channel[:40]!r}", hint=f"there are {', '.join(_names(ask))}")

    async def send() -> AlertUndelivered | None:
        return await (webhooks.test() if channel == APP else alerts.test(channel))

    row, replayed = await _channels(ask).test(channel, send, key=ask.once)
    return {**channel_facts(row), "replayed": replayed}


def _names(ask: Asked) -> tuple[str, ...]:
    return (*ask.ledger.alerts.channels, *((APP,) if ask.ledger.webhooks.is_told else ()))


def _channels(ask: Asked) -> Channels:
    return Channels(ask.ledger.database, ask.ledger.clock, project=ask.parts.project)
