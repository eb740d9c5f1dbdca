"""What part of the book a page shows: the window and the filters, as the URL says them."""

from datetime import date, datetime
from functools import cache
from zoneinfo import available_timezones

from jangbu.dashboard.fields import Wrong, chosen_of, day_of, require_one_of
from jangbu.dashboard.look import Look
from jangbu.domain.windows import BUCKETS_MAX, Bucket, Preset, Window, zone_named
from jangbu.errors import InvalidInput
from jangbu.metering.snapshots import Filters, Snapshot
from jangbu.metering.tops import By

__all__ = ["CUSTOM", "METRICS", "before_of", "chosen", "filters_of", "metric_of", "window_asked", "window_of", "zones"]

CUSTOM = "custom"
METRICS: tuple[By, ...] = ("tokens", "cost", "calls")


def window_of(look: Look) -> Window:
    """Give the window: the last 30 days where none is chosen. Raises InvalidInput.

    Days count where no period is chosen, or the one that they make.
    """
    zone = zone_named(look.formats.zone)
    bucket = chosen_of(Bucket, look.asked("bucket"))
    try:
        if not _is_custom(look):
            asked = look.asked("range")
            preset = None if asked == CUSTOM else chosen_of(Preset, asked)
            return Window.preset(preset or Preset.MONTH, look.now, zone, bucket)
        last = _day(look, "to") or look.now.astimezone(zone).date()
        first = _day(look, "from") or last
        if first > last:
            raise Wrong("days", first=look.formats.day(first), last=look.formats.day(last))
        return Window.days(first, last, zone, bucket)
    except Wrong:
        raise
    except InvalidInput:
        raise Wrong("bars", most=look.formats.number(BUCKETS_MAX)) from None


def window_asked(look: Look) -> Window | None:
    """Give the window where one is chosen, for pages that begin with all there is. Raises InvalidInput."""
    is_asked = _is_custom(look) or look.asked("range") not in {None, CUSTOM}
    return window_of(look) if is_asked else None


def before_of(window: Window, until: datetime) -> Window:
    """Give the window that one is compared with. Raises InvalidInput."""
    try:
        return window.previous(until)
    except InvalidInput:
        raise Wrong("before") from None


def filters_of(look: Look) -> Filters:
    """Give the filters by user, model and service."""
    models, services = look.asked("model"), look.asked("service")
    return Filters(
        user=look.asked("user"),
        models=() if models is None else (models,),
        services=() if services is None else (services,),
    )


def metric_of(look: Look) -> By:
    """Give what is counted: tokens where nothing else is chosen. Raises InvalidInput."""
    asked = look.asked("metric") or METRICS[0]
    require_one_of(METRICS, asked)
    return next(metric for metric in METRICS if metric == asked)


async def chosen(look: Look, book: Snapshot) -> dict[str, object]:
    """Give what the form of filters shows as chosen, and what there is to choose from."""
    services, models = await book.names()
    return {
        "range": _range(look),
        "ranges": [*(each.value for each in Preset), CUSTOM],
        "buckets": [each.value for each in Bucket],
        "metric": metric_of(look),
        "metrics": METRICS,
        "services": _with(services, look.asked("service")),
        "models": _with(models, look.asked("model")),
        "zones": _with(zones(), look.formats.zone),
    }


def _range(look: Look) -> str:
    """Name the period that holds: to choose one of days chooses none as long as no day is entered."""
    asked = look.asked("range")
    return CUSTOM if _is_custom(look) else Preset.MONTH.value if asked in {None, CUSTOM} else str(asked)


@cache
def zones() -> tuple[str, ...]:
    """Give the names of all time zones, UTC first."""
    names = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
    return ("UTC", *names)


def _with(names: tuple[str, ...], name: str | None) -> tuple[str, ...]:
    return names if name is None or name in names else (*names, name)


def _is_custom(look: Look) -> bool:
    """Whether the window is one of days: the form sends them along when a period is chosen instead."""
    has_days = look.asked("from") is not None or look.asked("to") is not None
    return has_days and look.asked("range") in {None, CUSTOM}


def _day(look: Look, name: str) -> date | None:
    text = look.asked(name)
    return None if text is None else day_of(text)
