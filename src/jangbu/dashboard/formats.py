"""Numbers, money and times as people write them: exact in tables, short on tiles, in their language and time zone."""

from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_skeleton, format_time
from babel.numbers import format_compact_decimal, format_currency, format_decimal, format_percent
from babel.units import format_unit

from jangbu.domain.amounts import average
from jangbu.domain.windows import by_clock

if TYPE_CHECKING:
    from jangbu.domain.amounts import Amounts
    from jangbu.metering.reports import Figures

__all__ = ["Formats"]

_NANO = Decimal(10) ** 9
_CENT_NANO = 10_000_000
_LEAST_NANO = 1_000
"""The least that is written with six decimals; what is smaller, and is not nothing, is said to be smaller."""

_MAN = 10_000
_TENTHS = 1_000
_SECOND_MS = 1_000
_UNITS = (("hour", 3_600_000), ("minute", 60_000), ("second", _SECOND_MS))


class Formats:
    """How one language writes figures, in one time zone. Tokens are whole numbers, money is in nano-USD."""

    def __init__(self, language: str, zone: str) -> None:
        self._locale = Locale.parse(language)
        self.zone = zone
        self._zone = ZoneInfo(zone)

    def number(self, value: int) -> str:
        """Write a whole number exactly, with its digits in groups."""
        return str(format_decimal(value, locale=self._locale))

    def compact(self, value: int) -> str:
        """Write a whole number shortly: 287.6M, or 2.9억. Korean shortens from 만 on: nobody writes thousands as 천."""
        if self._locale.language == "ko" and abs(value) < _MAN:
            return self.number(value)
        return str(format_compact_decimal(value, fraction_digits=1, locale=self._locale))

    def money(self, nano: int | None) -> str:
        """Write money in cents, and with six decimals below a cent; a dash where it is not known."""
        if nano is None:
            return "–"
        if 0 < abs(nano) < _LEAST_NANO:
            return f"<{self._currency(Decimal(_LEAST_NANO) / _NANO)}"
        places = Decimal("0.01") if nano == 0 or abs(nano) >= _CENT_NANO else Decimal("0.000001")
        return self._currency((Decimal(nano) / _NANO).quantize(places, ROUND_HALF_EVEN))

    def cost(self, sums: "Amounts | Figures", nano: int | None = None) -> str:
        """Write what calls cost, or another sum of money over them: a dash where none of them has a price, and at
        least so much where some have none.
        """
        return _of_calls(sums, self.money(sums.cost_nano if nano is None else nano))

    def cost_exact(self, sums: "Amounts | Figures", nano: int | None = None) -> str:
        """Write what calls cost, or another sum of money over them, to the last nano-USD."""
        return _of_calls(sums, self.money_exact(sums.cost_nano if nano is None else nano))

    def money_exact(self, nano: int | None) -> str:
        """Write money to the last nano-USD."""
        return "–" if nano is None else self._currency(Decimal(nano) / _NANO)

    def unit_price(self, nano: int, per: int, unit: int) -> str:
        """Write the price of so many units, given that of so many others, with all its digits."""
        return self._currency(Decimal(nano) * unit / per / _NANO)

    def percent(self, part: int, whole: int) -> str:
        """Write a part of a whole in hundredths, with one decimal; a dash for a part of nothing.

        A part that is smaller, and is not nothing, is said to be smaller.
        """
        if whole == 0:
            return "–"
        tenths = average(_TENTHS * part, whole)
        is_less = tenths == 0 < part
        share = Decimal(1 if is_less else tenths) / _TENTHS
        written = str(format_percent(share, format="#,##0.0%", locale=self._locale))
        return f"<{written}" if is_less else written

    def percent_exact(self, parts_per_million: int) -> str:
        """Write parts per million in hundredths, with all their digits."""
        return str(format_percent(Decimal(parts_per_million) / 10**6, format="#,##0.####%", locale=self._locale))

    def moment(self, when: datetime | None) -> str:
        """Write a date and a time to the second; a dash where there is none."""
        if when is None:
            return "–"
        return str(format_datetime(by_clock(when, self._zone), "medium", locale=self._locale))

    def clock(self, when: datetime) -> str:
        """Write a time of day to the second."""
        return str(format_time(when, "medium", tzinfo=self._zone, locale=self._locale))

    def day(self, when: date) -> str:
        """Write a date; of a moment, that on which it falls in the time zone."""
        local = by_clock(when, self._zone) if isinstance(when, datetime) else when
        return str(format_date(local, "medium", locale=self._locale))

    def short_day(self, when: datetime) -> str:
        """Write a day and its month, for the axis of a chart."""
        return str(format_skeleton("MMMd", when, tzinfo=self._zone, locale=self._locale))

    def month(self, when: datetime) -> str:
        """Write a month and its year, for the axis of a chart."""
        return str(format_skeleton("yMMM", when, tzinfo=self._zone, locale=self._locale))

    def month_name(self, when: date) -> str:
        """Write a month shortly, without its year."""
        return str(format_date(when, "LLL", locale=self._locale))

    def weekday(self, when: date) -> str:
        """Write a day of the week shortly."""
        return str(format_date(when, "ccc", locale=self._locale))

    def duration(self, milliseconds: int | None) -> str:
        """Write how long something took in the unit that suits it; a dash where that is not known."""
        if milliseconds is None:
            return "–"
        if milliseconds < _SECOND_MS:
            return str(format_unit(milliseconds, "duration-millisecond", "short", locale=self._locale))
        unit, length = next(each for each in _UNITS if milliseconds >= each[1])
        amount = (Decimal(milliseconds) / length).quantize(Decimal("0.1"), ROUND_HALF_EVEN)
        return str(format_unit(amount, f"duration-{unit}", "short", locale=self._locale))

    def hour(self, when: datetime) -> str:
        """Write a day and a time of day, for the axis of a chart."""
        clock = str(format_skeleton("Hm", when, tzinfo=self._zone, locale=self._locale))
        return str(self._locale.datetime_formats["short"]).format(clock, self.short_day(when))

    def minute(self, when: datetime) -> str:
        """Write a day and a time of day to the minute, without the year."""
        clock = str(format_time(by_clock(when, self._zone), "short", locale=self._locale))
        return str(self._locale.datetime_formats["short"]).format(clock, self.short_day(when))

    def iso(self, when: datetime) -> str:
        """Write a moment for machines, in the time zone."""
        return when.astimezone(self._zone).isoformat(timespec="seconds")

    def _currency(self, amount: Decimal) -> str:
        return str(format_currency(amount, "USD", locale=self._locale, decimal_quantization=False))


def _of_calls(sums: "Amounts | Figures", written: str) -> str:
    """Say how much of a sum over calls is known: a call without a price adds nothing to it."""
    if sums.unpriced and sums.unpriced == sums.calls:
        return "–"
    return f"≥ {written}" if sums.unpriced else written
