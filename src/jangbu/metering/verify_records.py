"""One record against its own evidence: what it counts, and what it costs."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

from jangbu.domain.usage import Usage
from jangbu.metering.editions import Priced
from jangbu.storage.usage import UsageRecord

Recompute = Callable[[UsageRecord], Awaitable[Priced]]
"""Prices a record again from its evidence and its price version."""

Restate = Callable[[UsageRecord], Usage]
"""Reads a record's evidence again by the rules that first read it."""

IMPORTED = "imported"
"""The source of a record that was taken over from elsewhere: it has no evidence."""

_NEVER_PRICED = Priced(None, None, None, None)


@dataclass(frozen=True, slots=True)
class Finding:
    """A figure of a record that its evidence contradicts."""

    of_cost: bool
    what: str
    expected: int | str | None
    found: int | str | None


async def compare(record: UsageRecord, recompute: Recompute | None, restate: Restate | None) -> AsyncIterator[Finding]:
    """Give everything in which a record and its evidence differ; an imported record has none to differ from.

    No list shows a record whose service or model has no name any more.
    """
    for what, name in (("service", record.service), ("model", record.model)):
        if not name:
            yield Finding(False, f"name of the {what} of call {record.id}", "there", "gone")
    if record.source == IMPORTED or not record.model:
        return
    if restate is not None:
        for finding in _compare_counts(record, restate):
            yield finding
    if recompute is not None:
        async for finding in _compare_cost(record, recompute):
            yield finding


def _compare_counts(record: UsageRecord, restate: Restate) -> Iterator[Finding]:
    try:
        again = restate(record)
    except Exception as error:
        # Evidence that somebody tampered with may break its reader in any way, and must not end the verification.
        yield Finding(False, f"evidence of call {record.id}", "readable", str(error))
        return
    # A batch is recorded as one call and is the sum of its members.
    answers = again.members or (again,)
    for name, expected, found in (
        ("prompt", sum(answer.counts.prompt for answer in answers), record.prompt),
        ("candidates", sum(answer.counts.candidates for answer in answers), record.candidates),
        ("thoughts", sum(answer.counts.thoughts for answer in answers), record.thoughts),
        ("tool", sum(answer.counts.tool for answer in answers), record.tool),
        ("cached", sum(answer.counts.cached for answer in answers), record.cached),
        ("total", sum(answer.total_tokens for answer in answers), record.total),
    ):
        if expected != found:
            yield Finding(False, f"{name} of call {record.id}", expected, found)
    # The answer may have shown more than its usage objects do, so flags beyond these are no mismatch.
    missing = sorted(set(again.anomalies) - set(record.anomalies))
    if missing:
        yield Finding(False, f"anomalies of call {record.id}", ", ".join(missing), ", ".join(record.anomalies))


async def _compare_cost(record: UsageRecord, recompute: Recompute) -> AsyncIterator[Finding]:
    try:
        # What was never priced has no cost yet, whatever a newer price book may know.
        again = _NEVER_PRICED if record.price_version is None else await recompute(record)
    except Exception as error:
        yield Finding(True, f"cost of call {record.id}", str(error), record.cost_nano)
        return
    for name, expected, found in (
        ("cost", again.cost_nano, record.cost_nano),
        ("input cost", again.input_cost_nano, record.input_cost_nano),
        ("charge", again.charge_nano, record.charge_nano),
    ):
        if expected != found:
            yield Finding(True, f"{name} of call {record.id}, in nano-USD", expected, found)
