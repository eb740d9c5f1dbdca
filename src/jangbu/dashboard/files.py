"""What pages give as files: all that their filters let through, not only what fits on a page."""

from jangbu.dashboard.choices import filters_of, window_asked, window_of
from jangbu.dashboard.fields import chosen_of, require_one_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import Read
from jangbu.domain.ledger import Asset, EntryKind
from jangbu.domain.windows import zone_named
from jangbu.metering import exports
from jangbu.metering.exports import Span, Table
from jangbu.metering.series import Part

__all__ = ["asset_of", "calls", "entries", "usage"]

_ASSETS = {asset.name.lower(): asset for asset in Asset}


def usage(by: Part) -> Read:
    """Give what was used in each bucket of the page's window, by service or by model."""

    async def read(look: Look) -> Table:
        project = look.settings.project
        return await exports.usage(look.ledger.database, project, window_of(look), filters_of(look), by)

    return read


async def calls(look: Look) -> Table:
    """Read all calls that the filters let through, each user's oldest first."""
    zone = zone_named(look.formats.zone)
    return await exports.calls(look.ledger.database, look.settings.project, zone, filters_of(look), _span(look))


async def entries(look: Look) -> Table:
    """Read all entries that the filters let through, each user's oldest first."""
    return await exports.entries(
        look.ledger.database,
        look.settings.project,
        zone_named(look.formats.zone),
        look.asked("user"),
        asset_of(look),
        _span(look),
        chosen_of(EntryKind, look.asked("kind")),
    )


def asset_of(look: Look) -> Asset:
    """Give what entries are of: tokens where nothing else is chosen. Raises InvalidInput."""
    asked = look.asked("asset") or Asset.TOKENS.name.lower()
    require_one_of(_ASSETS, asked)
    return _ASSETS[asked]


def _span(look: Look) -> Span:
    window = window_asked(look)
    return Span() if window is None else Span(window.start, window.end)
