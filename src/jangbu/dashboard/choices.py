"""What part of the book a page shows: the window and the filters, as the URL says them."""

from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from jangbu.dashboard.fields import Wrong, chosen_of, day_or_time_of, require_one_of
from jangbu.dashboard.look import Look
from jangbu.domain.windows import BUCKETS_MAX, Bucket, Preset, Window, day_start, zone_named
from jangbu.errors import InvalidInput
from jangbu.metering.snapshots import Filters, Snapshot
from jangbu.metering.tops import By

__all__ = [
    "CUSTOM", "METRICS", "before_of", "chosen", "filters_of", "metric_of", "window_asked", "window_of", "zones_of",
]  # fmt: skip

CUSTOM = "custom"
_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)
METRICS: tuple[By, ...] = ("tokens", "cost", "calls")


def window_of(look: Look) -> Window:
    """Give the window: the last 30 days where none is chosen. Raises InvalidInput.

    Days count where no period is chosen, or the one that they make; so do times of a day.
    """
    zone = zone_named(look.formats.zone)
    bucket = chosen_of(Bucket, look.asked("bucket"))
    try:
        if not _is_custom(look):
            asked = look.asked("range")
            preset = None if asked == CUSTOM else chosen_of(Preset, asked)
            return Window.preset(preset or Preset.MONTH, look.now, zone, bucket)
        return Window.custom(*_between(look, zone), zone, bucket)
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
        "zones": zones_of(look),
    }


def _range(look: Look) -> str:
    """Name the period that holds: to choose one of days chooses none as long as no day is entered."""
    asked = look.asked("range")
    return CUSTOM if _is_custom(look) else Preset.MONTH.value if asked in {None, CUSTOM} else str(asked)


def zones_of(look: Look) -> tuple[str, ...]:
    """Give the time zones to choose from, the one that holds among them."""
    return _with(_zones(), look.formats.zone)


@cache
def _zones() -> tuple[str, ...]:
    """Give the names of all time zones, UTC first."""
    names = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
    return ("UTC", *names)


def _with(names: tuple[str, ...], name: str | None) -> tuple[str, ...]:
    return names if name is None or name in names else (*names, name)


def _is_custom(look: Look) -> bool:
    """Whether the window is one of days: the form sends them along when a period is chosen instead."""
    has_days = look.asked("from") is not None or look.asked("to") is not None
    return has_days and look.asked("range") in {None, CUSTOM}


def _between(look: Look, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Give the moments that are chosen: a day lasts to its end, and a time of a day ends with its beginning.

    Today is the last day where none is chosen, and the last day is the first one.
    """
    last = _edge(look, "to", zone) or look.now.astimezone(zone).date()
    end = last if isinstance(last, datetime) else day_start(last + _DAY, zone)
    first = _edge(look, "from", zone) or (end - _MINUTE).astimezone(zone).date()
    start = first if isinstance(first, datetime) else day_start(first, zone)
    if start < end:
        return start, end
    if isinstance(first, datetime) or isinstance(last, datetime):
        raise Wrong("times", first=look.formats.moment(start), last=look.formats.moment(end))
    raise Wrong("days", first=look.formats.day(first), last=look.formats.day(last))


def _edge(look: Look, name: str, zone: ZoneInfo) -> date | datetime | None:
    text = look.asked(name)
    return None if text is None else day_or_time_of(text, zone)
