"""The channels: by which alerts leave and the app is told, how each stands, and a test of each."""

from collections.abc import Mapping
from typing import Any

from jangbu.dashboard.done import key_of, new_key
from jangbu.dashboard.fields import require_one_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import OPERATIONS, READERS, Action, Page
from jangbu.errors import AlertUndelivered
from jangbu.metering.channels import APP, Channels

__all__ = ["PAGE"]


async def show(look: Look) -> Mapping[str, Any]:
    """Read how the channels stand."""
    names = tuple(look.ledger.alerts.channels)
    *states, app = await _channels(look).states((*names, APP))
    return {
        "channels": states,
        "app": app,
        "standing": await look.ledger.webhooks.standing(),
        "is_told": look.ledger.webhooks.is_told,
        "app_name": APP,
        "may_test": look.may(OPERATIONS),
        "form_key": new_key(look),
    }


async def test(look: Look) -> str:
    """Send a test through a channel."""
    name, webhooks, alerts = look.form.get("channel", ""), look.ledger.webhooks, look.ledger.alerts
    require_one_of((*alerts.channels, *((APP,) if webhooks.is_told else ())), name)

    async def send() -> AlertUndelivered | None:
        return await (webhooks.test() if name == APP else alerts.test(name))

    row, _ = await _channels(look).test(name, send, key=key_of(look))
    ended = "test_arrived" if row.test_error is None else "test_failed"
    return look.url("/alerts/channels", notice=None if row.test_ended_at is None else ended)


def _channels(look: Look) -> Channels:
    return Channels(look.ledger.database, look.ledger.clock, project=look.settings.project)


PAGE = Page("/alerts/channels", "alerts_channels", READERS, show, {"test": Action(test, OPERATIONS)}, in_menu=False)
