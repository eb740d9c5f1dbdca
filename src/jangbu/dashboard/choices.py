"""What part of the book a page shows: the window and the filters, as the URL says them."""

from datetime import date
from enum import StrEnum
from functools import cache
from typing import TypeVar
from zoneinfo import available_timezones

from jangbu.dashboard.look import Look
from jangbu.domain.windows import Bucket, Preset, Window, zone_named
from jangbu.errors import InvalidInput
from jangbu.metering.snapshots import Filters, Snapshot

__all__ = ["CUSTOM", "METRICS", "chosen", "filters_of", "metric_of", "window_of", "zones"]

Kind = TypeVar("Kind", bound=StrEnum)

CUSTOM = "custom"
METRICS = ("tokens", "cost", "calls")


def window_of(look: Look) -> Window:
    """Give the window: the last 30 days where none is chosen. Raises InvalidInput."""
    zone = zone_named(look.formats.zone)
    bucket = _one_of(Bucket, look.asked("bucket"), "length of bars")
    if look.asked("from") is not None or look.asked("to") is not None:
        last = _day(look.asked("to")) or look.now.astimezone(zone).date()
        first = _day(look.asked("from")) or last
        return Window.days(first, last, zone, bucket)
    preset = _one_of(Preset, look.asked("range"), "period") or Preset.MONTH
    return Window.preset(preset, look.now, zone, bucket)


def filters_of(look: Look) -> Filters:
    """Give the filters by user, model and service."""
    models, services = look.asked("model"), look.asked("service")
    return Filters(
        user=look.asked("user"),
        models=() if models is None else (models,),
        services=() if services is None else (services,),
    )


def metric_of(look: Look) -> str:
    """Give what is counted: tokens where nothing else is chosen."""
    asked = look.asked("metric")
    return asked if asked in METRICS else METRICS[0]


async def chosen(look: Look, book: Snapshot) -> dict[str, object]:
    """Give what the form of filters shows as chosen, and what there is to choose from."""
    services, models = await book.names()
    is_custom = look.asked("from") is not None or look.asked("to") is not None
    return {
        "range": CUSTOM if is_custom else look.asked("range") or Preset.MONTH.value,
        "ranges": [*(each.value for each in Preset), CUSTOM],
        "buckets": [each.value for each in Bucket],
        "metric": metric_of(look),
        "metrics": METRICS,
        "services": _with(services, look.asked("service")),
        "models": _with(models, look.asked("model")),
        "zones": _with(zones(), look.formats.zone),
    }


@cache
def zones() -> tuple[str, ...]:
    """Give the names of all time zones, UTC first."""
    names = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
    return ("UTC", *names)


def _with(names: tuple[str, ...], name: str | None) -> tuple[str, ...]:
    return names if name is None or name in names else (*names, name)


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text[:40]!r} is no date", hint="write it like 2027-01-31") from None


def _one_of(kind: type[Kind], text: str | None, what: str) -> Kind | None:
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        names = ", ".join(each.value for each in kind)
        raise InvalidInput(f"there is no {what} {text[:40]!r}", hint=f"one of {names}") from None
