"""The first owner: where nobody can sign in yet, whoever reads what the server says at its start becomes one."""

from datetime import UTC, datetime

from jangbu import telemetry
from jangbu.cli.members import linked
from jangbu.cli.output import json_text, shown_moment, write_message
from jangbu.cli.serve.lines import log_format
from jangbu.config import Settings
from jangbu.errors import JangbuError
from jangbu.metering.members import SetUpLink
from jangbu.metering.meter import Metering

__all__ = ["offer_first_owner"]


async def offer_first_owner(settings: Settings, metering: Metering, address: str) -> None:
    """Tell the one who started the server how to become the first owner, where there is a dashboard and no member.

    Calls are metered all the same where that fails.
    """
    if not settings.dashboard:
        return
    try:
        if not await metering.members.is_empty():
            return
        link = await metering.members.first_link()
    except JangbuError as error:
        telemetry.warn("members.not_offered", str(error))
        return
    write_message(_said(link, settings.public_url or address, as_json=log_format(settings.log_format) == "json"))


def _said(link: SetUpLink, address: str, *, as_json: bool) -> str:
    """Say it in the form of the other lines on standard error: whoever reads them as JSON finds nothing else."""
    shown = linked(link, address)
    if not as_json:
        until = shown_moment(link.expires_at)
        return f"nobody can sign in yet: whoever opens {shown} becomes the first owner, once, until {until}"
    return json_text(
        {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": "info",
            "event": "first_owner",
            "message": "nobody can sign in yet: whoever opens the link becomes the first owner, once",
            "link": shown,
            "link_expires_at": link.expires_at,
        }
    )
