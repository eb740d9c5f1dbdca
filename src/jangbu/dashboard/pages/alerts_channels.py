"""The channels: by which alerts leave and the app is told, how each stands, and a test of each."""

from collections.abc import Mapping
from typing import Any

from jangbu.dashboard.done import done
from jangbu.dashboard.fields import require_one_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import OPERATIONS, READERS, Action, Page
from jangbu.errors import AlertUndelivered
from jangbu.metering.channels import APP, Channels, ChannelTest

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
    }


async def test(look: Look) -> str:
    """Send a test through a channel. That it was wanted is written down before anything leaves."""
    name, webhooks, alerts = look.form.get("channel", ""), look.ledger.webhooks, look.ledger.alerts
    require_one_of((*alerts.channels, *((APP,) if webhooks.is_told else ())), name)

    async def begin() -> ChannelTest:
        return await _channels(look).begin(name, look.session.member.name)

    async def send() -> AlertUndelivered | None:
        return await (webhooks.test() if name == APP else alerts.test(name))

    began = await done(look, "channel.test", f"channel:{name}", begin)
    error = await _channels(look).finish(began, send)
    return look.url("/alerts/channels", notice="test_arrived" if error is None else "test_failed")


def _channels(look: Look) -> Channels:
    return Channels(look.ledger.database, project=look.settings.project)


PAGE = Page("/alerts/channels", "alerts_channels", READERS, show, {"test": Action(test, OPERATIONS)}, in_menu=False)
