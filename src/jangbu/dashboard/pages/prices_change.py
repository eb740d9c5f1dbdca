"""A change of prices: written into a form, tried without changing anything, and put in force as it was tried."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from jangbu.dashboard.choices import CUSTOM, window_of, zones_of
from jangbu.dashboard.done import key_of, new_key
from jangbu.dashboard.failing import told
from jangbu.dashboard.fields import Wrong
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import FORM_BYTES_MAX, MONEY, Action, Answered, Page
from jangbu.dashboard.price_drafts import KINDS, UNITS, Draft, asked_of, draft_of
from jangbu.domain.price_book import Meter, Modality, Price
from jangbu.domain.usage import Platform, Tier
from jangbu.domain.windows import Preset
from jangbu.errors import NotFound
from jangbu.metering.content import digest
from jangbu.metering.price_changes import OwnHasBegun
from jangbu.metering.price_trials import BookMoved, Compared, Line, Sums, Trial, as_tried, compared, tried
from jangbu.metering.pricing import BookIsSet

__all__ = ["PAGE"]

_CONFIRMATION_LENGTH = 64
_FILE_BYTES_MAX = 1_000_000
_LARGE = FORM_BYTES_MAX + 3 * _FILE_BYTES_MAX
"""How large a form with a file may be, every byte of which may have grown to three."""
_WINDOW = ("range", "from", "to", "zone")


async def show(look: Look) -> Mapping[str, Any]:
    """Show the forms as the address fills them in, and what the change that it names comes to. Nothing is changed."""
    look = replace(look, form={name: value.strip() for name, value in look.query.items()})
    problem: Wrong | None = None
    values: Mapping[str, Any] = {}
    if look.form.get("do"):
        try:
            values = await _tried(look)
        except Wrong as error:
            problem = error
    return _values(look, values, problem)


async def try_file(look: Look) -> Answered:
    """Show what the prices of a file come to, which no address could hold. Nothing is changed."""
    window = {name: look.form[name] for name in _WINDOW if look.form.get(name)}
    look = replace(look, query={**look.query, **window}, form={**look.form, "do": "file"})
    return Answered("prices_change.html", _values(look, await _tried(look), None))


def _values(look: Look, values: Mapping[str, Any], problem: Wrong | None) -> Mapping[str, Any]:
    return {
        **_choices(look),
        **told(problem),
        "kind": look.form.get("do") if look.form.get("do") in KINDS else KINDS[0],
        "form": look.form,
        "markup": look.ledger.pricing.in_force.terms.markup_parts_per_million,
        "is_tried": bool(values),
        **values,
    }


async def put(look: Look) -> str:
    """Put a change in force, if it still is what was tried, on the prices that it was tried on."""
    draft, confirmation, key = await _draft(look), look.form.get("confirmation", ""), key_of(look)
    if len(confirmation) != _CONFIRMATION_LENGTH:
        raise Wrong("form")
    content = digest("dashboard.prices", confirmation, draft.note)
    with _told(look):
        await look.ledger.pricing.change(as_tried(draft.make, confirmation), draft.note, once=(key, content))
    model = None if draft.row is None else draft.row.model
    return look.url(
        "/prices",
        price_model=model,
        notice="own_price_removed" if look.form.get("do") == "removal" else "prices_changed",
    )


async def _tried(look: Look) -> Mapping[str, Any]:
    draft, window = await _draft(look), window_of(look)
    with _told(look):
        trial = await tried(look.ledger.pricing, draft.make, look.now)
    as_of = draft.as_of(window, look.now)
    found = await compared(look.ledger.database, look.settings.project, window, draft.models, trial, as_of)
    kept = asked_of(look.form) | ({"at": look.now.isoformat()} if draft.models and not draft.row else {})
    return {
        "trial": trial,
        "lines": [_line(look, each) for each in trial.lines],
        "window": window,
        "as_of": as_of,
        "compared": found,
        "sums": [_sum(look, found, name) for name in ("recorded", "before", "after")],
        "difference": found.difference if found.difference.unpriced < max(found.calls, 1) else None,
        "markups": _markups(trial),
        "kept": kept,
        "form_key": new_key(look),
        "again": look.url(),
        "about": _about(draft),
    }


@contextmanager
def _told(look: Look) -> Iterator[None]:
    """Say in the page's language why a change cannot be made. Raises Wrong."""
    try:
        yield
    except BookMoved as error:
        raise Wrong("book_moved", version=error.version) from error
    except BookIsSet as error:
        raise Wrong("book_set") from error
    except OwnHasBegun as error:
        raise Wrong("own_begun", since=look.formats.moment(error.since)) from error
    except NotFound as error:
        raise Wrong("no_own_price") from error


async def _draft(look: Look) -> Draft:
    """Read the change, beside the loop: a book may be large."""
    return await asyncio.to_thread(draft_of, look)


def _line(look: Look, line: Line) -> Mapping[str, Any]:
    """Say what a row changes, with the prices for the unit in which the book quotes them."""
    before, after = line.before, line.after
    return {
        "row": line.row,
        "at": _begins(look, line),
        "before": _price(look, before),
        "after": _price(look, after),
        "is_same": before is not None and after is not None and _each(before) == _each(after),
    }


def _begins(look: Look, line: Line) -> datetime | None:
    starts = line.row.valid_from
    return None if starts is None or starts < look.now else starts


def _price(look: Look, row: Price | None) -> str:
    if row is None:
        return look.texts("prices.none")
    price = look.formats.unit_price(row.price_nano, row.unit_size, row.unit_size)
    return look.texts("price.for", price=price, size=look.formats.number(row.unit_size))


def _each(row: Price) -> tuple[int, int]:
    return row.price_nano, row.unit_size


def _sum(look: Look, found: Compared, name: str) -> Mapping[str, Any]:
    """Write a sum of the calls: at least so much where some have no price, a dash where none of them has one."""
    sums: Sums = getattr(found, name)

    def shown(written: str) -> str:
        if sums.unpriced and sums.unpriced == found.calls:
            return look.formats.money(None)
        return f"≥ {written}" if sums.unpriced else written

    written: dict[str, str] = {}
    for part, nano in (("cost", sums.cost_nano), ("charge", sums.charge_nano)):
        written |= {part: shown(look.formats.money(nano)), f"{part}_nano": shown(look.formats.number(nano))}
    return {"name": name, "unpriced": sums.unpriced, **written}


def _markups(trial: Trial) -> tuple[int, int]:
    return trial.before.terms.markup_parts_per_million, trial.after.terms.markup_parts_per_million


def _about(draft: Draft) -> str | None:
    return None if draft.row is None else draft.row.model


def _choices(look: Look) -> Mapping[str, Any]:
    has_days = look.asked("from") is not None or look.asked("to") is not None
    return {
        "range": look.asked("range") or (CUSTOM if has_days else Preset.MONTH.value),
        "ranges": [*(each.value for each in Preset), CUSTOM],
        "zones": zones_of(look),
        "models": look.ledger.pricing.in_force.book.models,
        "meters": [each.value for each in Meter],
        "modalities": [each.value for each in Modality],
        "tiers": [each.value for each in Tier],
        "platforms": [each.value for each in Platform],
        "units": tuple(UNITS),
    }


_ACTIONS = {
    "put": Action(put, MONEY, bytes_max=_LARGE),
    "try-file": Action(try_file, MONEY, bytes_max=_LARGE),
}
PAGE = Page("/prices/change", "prices_change", MONEY, show, _ACTIONS, in_menu=False)
