"""One record against its own evidence: what it counts, and what it costs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jangbu.domain.usage import Usage
from jangbu.storage.usage import UsageRecord

Recompute = Callable[[UsageRecord], tuple[int | None, int | None, int | None]]
"""Gives (cost, input cost, charge) of a record in nano-USD from its evidence and its price version."""

Restate = Callable[[UsageRecord], Usage]
"""Reads a record's evidence again by the rules that first read it."""

IMPORTED = "imported"
"""The source of a record that was taken over from elsewhere: it has no evidence."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A figure of a record that its evidence contradicts."""

    of_cost: bool
    what: str
    expected: int | str | None
    found: int | str | None


def compare(record: UsageRecord, recompute: Recompute | None, restate: Restate | None) -> Iterator[Finding]:
    """Give everything in which a record and its evidence differ; an imported record has none to differ from."""
    if record.source == IMPORTED:
        return
    if restate is not None:
        yield from _compare_counts(record, restate)
    if recompute is not None:
        yield from _compare_cost(record, recompute)


def _compare_counts(record: UsageRecord, restate: Restate) -> Iterator[Finding]:
    try:
        again = restate(record)
    except Exception as error:
        # Evidence that somebody tampered with may break its reader in any way, and must not end the verification.
        yield Finding(False, f"evidence of call {record.id}", "readable", str(error))
        return
    counts = again.counts
    for name, expected, found in (
        ("prompt", counts.prompt, record.prompt),
        ("candidates", counts.candidates, record.candidates),
        ("thoughts", counts.thoughts, record.thoughts),
        ("tool", counts.tool, record.tool),
        ("cached", counts.cached, record.cached),
        ("total", again.total_tokens, record.total),
    ):
        if expected != found:
            yield Finding(False, f"{name} of call {record.id}", expected, found)
    # The answer may have shown more than its usage objects do, so flags beyond these are no mismatch.
    missing = sorted(set(again.anomalies) - set(record.anomalies))
    if missing:
        yield Finding(False, f"anomalies of call {record.id}", ", ".join(missing), ", ".join(record.anomalies))


def _compare_cost(record: UsageRecord, recompute: Recompute) -> Iterator[Finding]:
    try:
        again = recompute(record)
    except Exception as error:
        yield Finding(True, f"cost of call {record.id}", str(error), record.cost_nano)
        return
    stored = (record.cost_nano, record.input_cost_nano, record.charge_nano)
    for name, expected, found in zip(("cost", "input cost", "charge"), again, stored, strict=True):
        if expected != found:
            yield Finding(True, f"{name} of call {record.id}, in nano-USD", expected, found)
