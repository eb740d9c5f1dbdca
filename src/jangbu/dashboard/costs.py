"""What the cost page asks besides, where its address says so: the same usage at another model's price, and by tag."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jangbu.dashboard.choices import CUSTOM, filters_of, window_of
from jangbu.dashboard.fields import Wrong
from jangbu.dashboard.look import Look
from jangbu.domain.amounts import NOTHING, Amounts
from jangbu.domain.price_dates import priced_models
from jangbu.metering import exports
from jangbu.metering.exports import Table
from jangbu.metering.stretches import Meant
from jangbu.metering.tags import ByTag, Listed, by_tag, tagged
from jangbu.metering.what_if import SECONDS, WhatIf, what_if

__all__ = ["Tags", "carried", "meant_of", "models_of", "other_model", "tags_file", "tags_of", "tried", "what_if_file"]

VALUES_SHOWN = 100
CALLS_SHOWN = 50
_SHOWN = 40
_NEVER_CARRIED = frozenset({"notice", "lang", "live"})


def models_of(look: Look) -> tuple[str, ...]:
    """Give the models that have a price now."""
    return priced_models(look.ledger.pricing.in_force.book, look.now)


def other_model(look: Look) -> str | None:
    """Give the model whose prices are tried, None where none is. Raises Wrong."""
    model = look.asked("whatif")
    if model is not None and model not in models_of(look):
        # Naming the choices would bury what is wrong: there are some hundred, and the page lists them.
        raise Wrong("whatif_model", text=model[:_SHOWN])
    return model


async def tried(look: Look, as_of: datetime | None = None) -> WhatIf | None:
    """Try the other model's prices on the calls that the page shows, for some seconds; None where none is chosen."""
    model = other_model(look)
    if model is None:
        return None
    return await what_if(await meant_of(look, as_of), look.ledger.pricing.in_force, model, seconds=SECONDS)


@dataclass(frozen=True, slots=True)
class Tags:
    """What the page tells by tag: the names to choose from where none is chosen, else what was used by its values.

    ``lines`` are the dearest, ``others`` how many values have no line and what they used. ``listed`` are the latest
    calls of the value that is chosen, ``most`` of them at most.
    """

    names: tuple[str, ...] = ()
    found: ByTag | None = None
    lines: tuple[tuple[str | None, Amounts], ...] = ()
    others: tuple[int, Amounts] = (0, NOTHING)
    value: str | None = None
    listed: Listed | None = None
    most: int = CALLS_SHOWN


async def tags_of(look: Look, as_of: datetime, names: Sequence[str]) -> Tags:
    """Read what the page tells by tag, where one is chosen; else these names are what there is to choose from."""
    meant, name, value = await meant_of(look, as_of), look.asked("tag"), look.asked("tag_value")
    if name is None:
        return Tags(names=tuple(names))
    found = await by_tag(meant, name)
    rest = found.lines[VALUES_SHOWN:]
    return Tags(
        found=found,
        lines=found.lines[:VALUES_SHOWN],
        others=(len(rest), Amounts.sum(amounts for _, amounts in rest)),
        value=value,
        listed=None if value is None else await tagged(meant, name, value, limit=CALLS_SHOWN),
    )


async def tags_file(look: Look) -> Table:
    """Give what was used by all values of the tag, of all calls. Raises Wrong where no tag is chosen."""
    name = look.asked("tag")
    if name is None:
        raise Wrong("tag")
    return await exports.tags(await meant_of(look), name)


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
