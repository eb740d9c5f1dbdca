"""A user's calls, newest first, with how each ended: all of them, or those that a figure sums."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

from jangbu.metering.snapshots import ALL_TIME, Snapshot, Span
from jangbu.storage import logs
from jangbu.storage.logs import LogRow
from jangbu.storage.usage import first_id

__all__ = ["Ending", "Logged", "calls_of", "stretch_of"]

_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)
_MILLISECOND = timedelta(milliseconds=1)


class Ending(StrEnum):
    """How a call ended for the ledger; what comes first here is told first."""

    RETURNED = "returned"
    """It was charged, and some of it or all was given back."""
    LATE = "late"
    """Its hold was over when its usage was known: it was charged all the same."""
    OVERRUN = "overrun"
    """It used more than was held for it, and was charged that."""
    SETTLED = "settled"
    """It was charged what it used, of what was held for it."""
    RECORDED = "recorded"
    """It was charged what it used, and nothing was held before."""

    @classmethod
    def of(cls, *, is_returned: bool, is_late: bool, held: int | None, used: int) -> "Ending":
        """Tell how a call ended of which so many tokens were held, None where none were, and so many used."""
        if is_returned:
            return cls.RETURNED
        if is_late:
            return cls.LATE
        if held is None:
            return cls.RECORDED
        return cls.OVERRUN if used > held else cls.SETTLED


@dataclass(frozen=True, slots=True)
class Logged:
    """A call of the log. ``took_ms`` is the time from before the call until its record was durable, by two clocks: of a
    call that nothing was held for it is not known.
    """

    call: LogRow
    ending: Ending
    took_ms: int | None

    @classmethod
    def of(cls, call: LogRow) -> Self:
        """Tell what a record says of its call."""
        took_ms = (call.recorded_at - call.created_at) // _MILLISECOND
        ending = Ending.of(
            is_returned=call.is_returned, is_late=call.late, held=call.hold_amount, used=call.total_tokens
        )
        return cls(call, ending, None if call.hold_amount is None or took_ms < 0 else took_ms)


async def calls_of(
    book: Snapshot,
    user: str,
    *,
    span: Span = ALL_TIME,
    service: str | None = None,
    model: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> Sequence[Logged]:
    """Give a user's calls: of a time, a service and a model where they are given, from the one before ``before`` on.

    Raises NotFound.
    """
    account = await book.account(user)
    first, last = stretch_of(span, before)
    if service is None and model is None:
        found = await logs.page(book.reader, account, first, last, limit)
    else:
        found = await logs.narrowed(book.reader, account, first, last, limit, service=service, model=model)
    return [Logged.of(row) for row in found]


def stretch_of(span: Span, before: UUID | None) -> tuple[UUID, UUID]:
    """Give from which id to before which one calls are meant: all, those of a time, those before a call."""
    first = _FIRST if span.since is None else first_id(span.since)
    last = _LAST if span.until is None else first_id(span.until)
    return first, last if before is None else min(last, before)
