"""A user's own view as JSON, in the names that the API has. What calls cost is told only where the app shows it."""

from datetime import UTC, datetime
from typing import Any

from jangbu.api.rest.problems import SCHEMA_VERSION
from jangbu.domain.amounts import Amounts
from jangbu.domain.forecast import Expiring
from jangbu.domain.standing import Standing
from jangbu.metering.facts import balance_facts
from jangbu.metering.series import Bar
from jangbu.metering.views import View

__all__ = ["view_facts"]


def view_facts(view: View, *, with_costs: bool, top_up_url: str | None) -> dict[str, Any]:
    """Give everything that a user is shown."""
    days = [_day(bar, view.as_of, with_costs) for bar in view.used.bars]
    return {
        "schema_version": SCHEMA_VERSION,
        "as_of": _moment(view.as_of),
        "user": view.account.user,
        "state": view.account.state,
        "balance": balance_facts(view.account.balance),
        "standing": view.standing.value,
        "is_low": view.standing is not Standing.OK,
        "expiring": None if view.expiring is None else _expiring(view.expiring),
        "top_up_url": top_up_url,
        "zone": view.used.window.zone.key,
        "first_day": days[0]["day"],
        "last_day": days[-1]["day"],
        "used": _amounts(view.used.total, with_costs),
        "services": [{"service": line.name, **_amounts(line.total, with_costs)} for line in view.services],
        "models": [{"model": line.name, **_amounts(line.total, with_costs)} for line in view.models],
        "days": days,
        "calls": [
            {
                "id": str(call.id),
                "created_at": _moment(call.created_at),
                "service": call.service,
                "model": call.model,
                "prompt_tokens": call.prompt_tokens,
                "completion_tokens": call.completion_tokens,
                "total_tokens": call.total_tokens,
            }
            for call in view.calls
        ],
    }


def _day(bar: Bar, as_of: datetime, with_costs: bool) -> dict[str, Any]:
    return {
        "day": bar.start.date().isoformat(),
        "start": _moment(bar.start),
        "end": _moment(bar.end),
        "is_over": bar.end <= as_of,
        **_amounts(bar.amounts, with_costs),
    }


def _expiring(found: Expiring) -> dict[str, Any]:
    return {"tokens": found.tokens, "first_at": _moment(found.first_at), "last_at": _moment(found.last_at)}


def _amounts(amounts: Amounts, with_costs: bool) -> dict[str, int | None]:
    facts: dict[str, int | None] = {
        "calls": amounts.calls,
        "prompt_tokens": amounts.input_tokens,
        "completion_tokens": amounts.completion_tokens,
        "cached_tokens": amounts.cached_tokens,
        "total_tokens": amounts.total_tokens,
    }
    if with_costs:
        has_no_price = 0 < amounts.calls == amounts.unpriced
        facts |= {"charge_nano": None if has_no_price else amounts.charge_nano, "unpriced": amounts.unpriced}
    return facts


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
