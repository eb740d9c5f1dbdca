"""Why something was found or told, in words, with what was expected and what was observed where both are known."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from jangbu.alerts.texts import text_of
from jangbu.dashboard.look import Look
from jangbu.domain.alerts import HOLD_LEAK_SECONDS, Alert, Condition, Phase
from jangbu.storage.findings import InboxRow

__all__ = ["Why", "why_alert", "why_finding"]

_OBSERVED: Mapping[Condition, tuple[str, ...]] = {
    Condition.RECORDING_FAILED: ("failures", "seconds"),
    Condition.RECORDING_DELAYED: ("seconds",),
    Condition.RECORDING_SPOOLED: ("records",),
    Condition.UNKNOWN_OUTCOME: ("findings",),
    Condition.OVERRUN: ("findings",),
    Condition.LATE: ("findings",),
    Condition.UNPRICED: ("findings", "models"),
    Condition.HOLD_LEAK: ("holds", "tokens"),
    Condition.BUDGET_NEAR: ("cost_nano", "budget_nano", "per_cent", "month", "unpriced"),
    Condition.BUDGET_SPENT: ("cost_nano", "budget_nano", "per_cent", "month", "unpriced"),
    Condition.VERIFY_MISMATCH: ("mismatches", "invariants"),
}
"""The facts that say what was observed."""
_STAY_HELD = re.compile(r"(?P<tokens>[0-9]+) tokens stay held: (?P<reason>.+)", re.DOTALL)
"""What is noted with a finding of an unknown outcome; the reason is that of its hold."""


@dataclass(frozen=True, slots=True)
class Why:
    """A sentence, and what was expected and observed, each empty where it is not known. ``hold_reason`` is what was
    noted with the hold of a call of unknown outcome.
    """

    text: str
    expected: str = ""
    observed: str = ""
    hold_reason: str = ""


def why_alert(look: Look, alert: Alert) -> Why:
    """Say why an alert was raised. That a trouble ended leaves nothing to compare."""
    text, needed = text_of(alert, look.texts.language), _OBSERVED.get(alert.condition)
    if needed is None or alert.phase is Phase.ENDED or not all(name in alert.facts for name in needed):
        return Why(text)
    shown = {name: _shown(look, name, alert.facts[name]) for name in needed}
    limit = _limit(look, alert.condition)
    return Why(
        text,
        look.texts(f"why.expected.{alert.condition.value}", limit=limit, **shown),
        look.texts(f"why.observed.{alert.condition.value}", **shown),
    )


def why_finding(look: Look, row: InboxRow) -> Why:
    """Say why there is a finding: an overrun by its tokens, an anomaly by what the flags of its call are, an unknown
    outcome by what stays held, and why.
    """
    if row.kind == "anomaly":
        return Why(" ".join(look.texts.known("flag", flag) for flag in row.detail.split(", ")))
    text = look.texts(f"why.finding.{row.kind}")
    if row.kind == "overrun" and row.held is not None and row.used is not None:
        number = look.formats.number
        return Why(
            text,
            look.texts("why.held", shown=number(row.held), count=row.held),
            look.texts("why.used", shown=number(row.used), count=row.used),
        )
    if row.kind == "unknown_outcome" and (noted := _STAY_HELD.fullmatch(row.detail)) is not None:
        tokens = int(noted["tokens"])
        held = look.texts("alerts.held", count=tokens, tokens=look.formats.number(tokens))
        return Why(text, observed=held, hold_reason=noted["reason"])
    return Why(text)


def _shown(look: Look, name: str, fact: int | str) -> str:
    if isinstance(fact, str):
        return fact
    return look.formats.money(fact) if name.endswith("_nano") else look.formats.number(fact)


def _limit(look: Look, condition: Condition) -> str:
    if condition is Condition.RECORDING_DELAYED:
        return look.formats.number(look.settings.alert_delay_seconds)
    return look.formats.number(HOLD_LEAK_SECONDS)
