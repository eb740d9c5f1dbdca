"""What the cost page asks besides, where its address says so: the same usage at another model's price, by tag, and by
key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jangbu.dashboard.choices import CUSTOM, filters_of, window_of
from jangbu.dashboard.fields import Wrong, id_of
from jangbu.dashboard.figures import OTHERS_AFTER, told_apart
from jangbu.dashboard.look import Look
from jangbu.domain.amounts import NOTHING, Amounts
from jangbu.domain.keys import Key
from jangbu.domain.price_dates import priced_models
from jangbu.metering import exports
from jangbu.metering.exports import Table
from jangbu.metering.log_search import Sought, Tag
from jangbu.metering.series import Line
from jangbu.metering.snapshots import Span
from jangbu.metering.stretches import Meant
from jangbu.metering.tags import BY_KEY, ByTag, Listed, by_tag, keys_by_id, tagged
from jangbu.metering.what_if import SECONDS, WhatIf, what_if

__all__ = [
    "EVERY_KEY",
    "Tags",
    "calls_file",
    "carried",
    "keys_file",
    "meant_of",
    "models_of",
    "other_model",
    "tags_file",
    "tags_of",
    "tried",
    "what_if_file",
]

EVERY_KEY = "all"
"""What ``by_key`` is where no one key is chosen, else its id. It is a word of its own in the address: an app may name a
tag as it likes.
"""

VALUES_SHOWN = 100
CALLS_SHOWN = 50
_SHOWN = 40
_NEVER_CARRIED = frozenset({"notice", "lang"})


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
    calls of the value that is chosen, ``most`` of them at most. By key the values are ids, and ``keys`` has the keys.
    ``drawn`` is when the dearest, and all others as one, used how much, or the one alone that is chosen; nothing where
    not all calls were looked at.
    """

    names: tuple[str, ...] = ()
    found: ByTag | None = None
    lines: tuple[tuple[str | None, Amounts], ...] = ()
    others: tuple[int, Amounts] = (0, NOTHING)
    value: str | None = None
    listed: Listed | None = None
    most: int = CALLS_SHOWN
    keys: Mapping[str, Key] = field(default_factory=dict)
    drawn: tuple[Line, ...] = ()

    def called(self, value: str) -> str:
        """Give what a key is called, by its id."""
        key = self.keys.get(value)
        return value if key is None else key.name


async def tags_of(look: Look, as_of: datetime, names: Sequence[str]) -> Tags:
    """Read what the page tells by tag or by key, where that is chosen; else these names are what there is to choose."""
    by_key = look.asked("by_key")
    name, value = _chosen(look)
    if by_key is None and name is None:
        return Tags(names=tuple(names))
    meant = await meant_of(look, as_of)
    found = await by_tag(meant, name)
    lines, rest = found.lines[:VALUES_SHOWN], found.lines[VALUES_SHOWN:]
    ids = () if by_key is None else (value, *(line[0] for line in lines))
    keys = await keys_by_id(meant.database, meant.project, ids)
    return Tags(
        found=found,
        lines=lines,
        keys=keys,
        drawn=_drawn(look, found, value, keys) if found.is_whole else (),
        others=(len(rest), Amounts.sum(amounts for _, amounts in rest)),
        value=value,
        listed=None if value is None else await tagged(meant, name, value, limit=CALLS_SHOWN),
    )


def _chosen(look: Look) -> tuple[str | None, str | None]:
    """Give the tag that is chosen and its value, or the id of a key as that of no tag. Raises Wrong."""
    by_key = look.asked("by_key")
    if by_key is None:
        return look.asked("tag"), look.asked("tag_value")
    return BY_KEY, None if by_key == EVERY_KEY else str(id_of(by_key))


def _drawn(look: Look, found: ByTag, value: str | None, keys: Mapping[str, Key]) -> tuple[Line, ...]:
    """Give when the dearest values used how much, with all others as one, or the value alone that is chosen."""
    some = [line for line in found.lines if line[0] == value] if value is not None else found.lines[:OTHERS_AFTER]
    rest = found.lines[OTHERS_AFTER:] if value is None else ()
    named = [(_name_of(look, found, each, keys), found.in_buckets(each), sums) for each, sums in some]
    if rest:
        name = look.texts("others", count=len(rest), shown=look.formats.number(len(rest)))
        amounts = found.in_buckets(*(each for each, _ in rest))
        named.append((name, amounts, Amounts.sum(amounts)))
    names = told_apart([name for name, _, _ in named], (look.texts("time"), look.texts("total")))
    return tuple(Line(name, amounts, total) for name, (_, amounts, total) in zip(names, named, strict=True))


def _name_of(look: Look, found: ByTag, value: str | None, keys: Mapping[str, Key]) -> str:
    """Give what a value is called in a chart."""
    key = None if value is None else keys.get(value)
    if key is not None:
        whose = key.user or look.texts("keys.app")
        return f"{key.name} ({look.texts('tag.key.of', whose=whose, at=look.formats.moment(key.created_at))})"
    if value is None:
        return look.texts("tag.key.without" if found.name is BY_KEY else "tag.without")
    return (value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…") or look.texts("tag.empty")


async def calls_file(look: Look) -> Table:
    """Read the calls that the page sums, of a tag's value or a key those that have it where one is chosen."""
    window, (name, value) = window_of(look), _chosen(look)
    tag = None if name is None or value is None else Tag(name, value)
    what = Sought(
        tag=tag, service=look.asked("service"), model=look.asked("model"), key=value if name is BY_KEY else None
    )
    return await exports.calls(
        look.ledger.database, look.settings.project, window.zone, look.asked("user"), Span.of(window), what
    )


async def tags_file(look: Look) -> Table:
    """Give what was used by all values of the tag, of all calls. Raises Wrong where no tag is chosen."""
    name = look.asked("tag")
    if name is None:
        raise Wrong("tag")
    return await exports.tags(await meant_of(look), name)


async def keys_file(look: Look) -> Table:
    """Give what was used by each key, of all calls."""
    return await exports.by_key(await meant_of(look))


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
