"""What pages give as files: all that their filters let through, not only what fits on a page."""

from jangbu.dashboard.choices import filters_of, window_asked, window_of
from jangbu.dashboard.fields import Wrong, chosen_of, require_one_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import Read
from jangbu.dashboard.sought import sought_of
from jangbu.domain.ledger import Asset, EntryKind
from jangbu.domain.windows import zone_named
from jangbu.metering import exports
from jangbu.metering.exports import Table
from jangbu.metering.log_search import Sought
from jangbu.metering.series import Part
from jangbu.metering.snapshots import Span

__all__ = ["all_entries", "asset_of", "calls", "calls_summed", "entries", "parts", "usage"]

_ASSETS = {asset.name.lower(): asset for asset in Asset}


def usage(by: Part) -> Read:
    """Give what was used in each bucket of the page's window, by service or by model."""

    async def read(look: Look) -> Table:
        project = look.settings.project
        return await exports.usage(look.ledger.database, project, window_of(look), filters_of(look), by)

    return read


def parts(by: Part) -> Read:
    """Give what was used in the whole of the page's window, a line for each service or model."""

    async def read(look: Look) -> Table:
        project = look.settings.project
        return await exports.parts(look.ledger.database, project, window_of(look), filters_of(look), by)

    return read


async def calls(look: Look) -> Table:
    """Read all calls of a user that the page's filters let through, oldest first."""
    return await exports.calls(
        look.ledger.database,
        look.settings.project,
        zone_named(look.formats.zone),
        _user_of(look),
        Span.of(window_asked(look)),
        sought_of(look),
    )


async def calls_summed(look: Look) -> Table:
    """Read the calls that the figures of a page sum: all of its window that its filters let through."""
    window, project = window_of(look), look.settings.project
    what = Sought(service=look.asked("service"), model=look.asked("model"))
    return await exports.calls(look.ledger.database, project, window.zone, look.asked("user"), Span.of(window), what)


async def all_entries(look: Look) -> Table:
    """Read all entries of a user's tokens, oldest first: what is chosen on their page is which calls are listed."""
    zone, project = zone_named(look.formats.zone), look.settings.project
    return await exports.entries(look.ledger.database, project, zone, _user_of(look))


async def entries(look: Look) -> Table:
    """Read all entries that the ledger's filters let through, oldest first; everybody's where no user is named."""
    return await exports.entries(
        look.ledger.database,
        look.settings.project,
        zone_named(look.formats.zone),
        look.asked("user"),
        asset_of(look),
        Span.of(window_asked(look)),
        chosen_of(EntryKind, look.asked("kind")),
    )


def asset_of(look: Look) -> Asset:
    """Give what entries are of: tokens where nothing else is chosen. Raises InvalidInput."""
    asked = look.asked("asset") or Asset.TOKENS.name.lower()
    require_one_of(_ASSETS, asked)
    return _ASSETS[asked]


def _user_of(look: Look) -> str:
    user = look.asked("user")
    if user is None:
        raise Wrong("user")
    return user
