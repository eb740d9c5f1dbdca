"""What the cost page asks besides, where its address says so: the same usage at another model's price."""

from collections.abc import Mapping
from datetime import datetime

from jangbu.dashboard.choices import CUSTOM, filters_of, window_of
from jangbu.dashboard.fields import Wrong, require_one_of
from jangbu.dashboard.look import Look
from jangbu.domain.price_dates import priced_models
from jangbu.metering import exports
from jangbu.metering.exports import Table
from jangbu.metering.stretches import Meant
from jangbu.metering.what_if import SECONDS, WhatIf, what_if

__all__ = ["carried", "meant_of", "models_of", "tried", "what_if_file"]

_NEVER_CARRIED = frozenset({"notice", "lang", "live"})


def models_of(look: Look) -> tuple[str, ...]:
    """Give the models that have a price now."""
    return priced_models(look.ledger.pricing.in_force.book, look.now)


def other_model(look: Look) -> str | None:
    """Give the model whose prices are tried, None where none is. Raises Wrong."""
    model = look.asked("whatif")
    if model is not None:
        require_one_of(models_of(look), model)
    return model


async def tried(look: Look, as_of: datetime | None = None) -> WhatIf | None:
    """Try the other model's prices on the calls that the page shows, for some seconds; None where none is chosen."""
    model = other_model(look)
    if model is None:
        return None
    return await what_if(await meant_of(look, as_of), look.ledger.pricing.in_force, model, seconds=SECONDS)


async def meant_of(look: Look, as_of: datetime | None = None) -> Meant:
    """Give the calls that the page shows, as they were recorded at a moment, or now."""
    database = look.ledger.database
    as_of = as_of or await database.now()
    return Meant(database, look.settings.project, window_of(look), filters_of(look), as_of)


async def what_if_file(look: Look) -> Table:
    """Give the same for all calls, however long that takes. Raises Wrong where no other model is chosen."""
    model = other_model(look)
    if model is None:
        raise Wrong("whatif")
    return await exports.at_other_price(await meant_of(look), look.ledger.pricing.in_force, model)


def carried(look: Look, *changed: str) -> Mapping[str, str]:
    """Give what a form of the page takes along of its address, but for what it changes itself."""
    kept = {
        name: value
        for name, value in look.query.items()
        if value and name not in _NEVER_CARRIED and name not in changed
    }
    if kept.keys() & {"from", "to"}:
        # Days that stand alone in an address mean the period that they make; in a form they are of a period's choice.
        kept.setdefault("range", CUSTOM)
    return kept
