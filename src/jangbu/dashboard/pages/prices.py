"""The price book in force, and those before it: what each price is, since when, and what changes later."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jangbu.clock import new_id
from jangbu.dashboard.done import key_of, new_key
from jangbu.dashboard.fields import Wrong, chosen_of, id_of, require_one_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import FIGURES, MONEY, Action, Answered, Page
from jangbu.domain.ledger import project_id
from jangbu.domain.price_book import Price
from jangbu.domain.price_dates import Standing, Turn, standing, turns
from jangbu.domain.windows import by_clock, zone_named
from jangbu.metering import exports
from jangbu.metering.content import digest
from jangbu.metering.editions import Edition
from jangbu.metering.exports import Table
from jangbu.metering.once import done_once, nothing_more
from jangbu.metering.price_changes import own_rows
from jangbu.metering.standing import standing as book_standing

__all__ = ["PAGE"]

_UNITS = {"1M": 1_000_000, "1K": 1_000, "1": 1}
_VERSIONS_SHOWN = 1_000
"""Each can be chosen: what is not among the choices is lost with the next one."""
_BACKFILL_SECONDS = 10
_INT_MAX = 2**31 - 1
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")


async def show(look: Look) -> Mapping[str, Any]:
    """Read a book: the one in force, or the one that the URL names."""
    pricing = look.ledger.pricing
    edition = await _edition(look)
    unit = look.asked("unit") or "1M"
    require_one_of(_UNITS, unit)
    model = look.asked("price_model")
    is_in_force = edition.version == pricing.in_force.version
    own = own_rows(edition)
    later = turns(edition.book, look.now) if is_in_force else ()
    found = await book_standing(look.ledger.database, look.settings.project)
    return {
        "edition": edition,
        "in_force": pricing.in_force,
        "rows": [_row(look, row, stands, _UNITS[unit], row in own) for row, stands in _rows(look, edition)],
        "turns": [_turn(look, each, _UNITS[unit]) for each in later if model in (None, each.row.model)],
        "price_models": sorted({row.model for row in edition.book.rows}),
        "standings": [each.value for each in Standing],
        "unit": unit,
        "units": tuple(_UNITS),
        "versions": await pricing.history(_VERSIONS_SHOWN),
        "unpriced": found.findings["unpriced"],
        "may_change": look.may(MONEY),
        "form_key": new_key(look),
    }


async def backfill(look: Look) -> Answered:
    """Price the calls that had no price when they came in, for some seconds, and report how far that went."""
    after = look.form.get("after")
    start = id_of(after) if after else None
    owner, asked = project_id(look.settings.project), new_id(look.ledger.clock)
    await done_once(
        look.ledger.database, owner, key_of(look), digest("prices.backfill", after or None), asked, nothing_more
    )
    pricing = look.ledger.pricing
    looked_at, priced, following = await pricing.backfill_for(_BACKFILL_SECONDS, *([start] if start else []))
    values = {
        "looked_at": looked_at,
        "priced": priced,
        "next": following,
        "version": pricing.in_force.version,
        "form_key": new_key(look),
    }
    return Answered("prices_backfilled.html", values)


async def file(look: Look) -> Table:
    """Give the rows that the page shows."""
    edition = await _edition(look)
    zone = zone_named(look.formats.zone)
    return exports.prices(edition, _rows(look, edition), zone, look.now)


async def _edition(look: Look) -> Edition:
    version = _version(look.asked("version"))
    pricing = look.ledger.pricing
    return pricing.in_force if version is None else await pricing.edition(version)


def _rows(look: Look, edition: Edition) -> Sequence[tuple[Price, Standing]]:
    """Give the rows that the filters let through, each with how it stands now."""
    model, wanted = look.asked("price_model"), chosen_of(Standing, look.asked("standing"))
    rows = [
        (row, standing(edition.book, row, look.now)) for row in edition.book.rows if model is None or row.model == model
    ]
    return [(row, stands) for row, stands in rows if wanted in (None, stands)]


def _row(look: Look, row: Price, stands: Standing, unit: int, is_own: bool) -> Mapping[str, Any]:
    return {
        "row": row,
        "standing": stands.value,
        "is_own": is_own,
        "price": _price(look, row, unit),
        "from": _date(look, row.valid_from) or look.texts("prices.always"),
        "to": _date(look, row.valid_to),
    }


def _turn(look: Look, turn: Turn, unit: int) -> Mapping[str, Any]:
    before, after = (look.texts("prices.none") if each is None else _price(look, each, unit) for each in turn.prices)
    return {"row": turn.row, "at": _date(look, turn.at), "before": before, "after": after}


def _date(look: Look, at: datetime | None) -> str:
    """Write when a price begins or ends: a day where that is its beginning in the page's zone, else the moment."""
    if at is None:
        return ""
    local = by_clock(at, zone_named(look.formats.zone))
    return look.formats.moment(at) if local.hour or local.minute or local.second else look.formats.day(at)


def _price(look: Look, row: Price, unit: int) -> str:
    """Write a price for as many tokens as was chosen; what is priced by the piece is priced for its own unit."""
    size = unit if row.unit_size == _UNITS["1M"] else row.unit_size
    price = look.formats.unit_price(row.price_nano, row.unit_size, size)
    return look.texts("price.for", price=price, size=look.formats.number(size))


def _version(text: str | None) -> int | None:
    if text is None:
        return None
    if not (_NUMBER.fullmatch(text) and int(text) <= _INT_MAX):
        raise Wrong("version", text=text[:20])
    return int(text)


PAGE = Page("/prices", "prices", FIGURES, show, {"backfill": Action(backfill, MONEY)}, files={"prices": file})
