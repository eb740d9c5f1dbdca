"""The rules: what raises an alert and when it is told again, which setting changes that, and what is muted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from jangbu.alerts.app_webhook import wanted_kinds
from jangbu.config import Settings
from jangbu.dashboard.done import key_of, new_key
from jangbu.dashboard.fields import Wrong, reason_of, require_one_of, time_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import OPERATIONS, READERS, Action, Page
from jangbu.dashboard.pages.alerts_events import KINDS
from jangbu.domain.alerts import HOLD_LEAK_SECONDS, MONTHLY, RULES, Condition, Severity
from jangbu.domain.budgets import NEAR_PER_CENT
from jangbu.domain.mutes import MUTABLE, Mute, longest
from jangbu.domain.webhooks import EventKind
from jangbu.domain.windows import zone_named
from jangbu.metering.mutes import Mutes, MuteTooLong

__all__ = ["PAGE"]

_MINUTES = (15, 60, 240, 1_440, 10_080)
_REPEATED = "JANGBU_ALERT_REPEAT_SECONDS"
_SETTINGS: Mapping[Condition, tuple[str, ...]] = {
    Condition.RECORDING_FAILED: (),
    Condition.RECORDING_DELAYED: ("JANGBU_ALERT_DELAY_SECONDS",),
    Condition.RECORDING_SPOOLED: ("JANGBU_SPOOL_AFTER_SECONDS",),
    Condition.UNKNOWN_OUTCOME: ("JANGBU_HOLD_SECONDS",),
    Condition.BUDGET_NEAR: ("JANGBU_MONTHLY_BUDGET_USD", "JANGBU_TIME_ZONE"),
    Condition.BUDGET_SPENT: ("JANGBU_MONTHLY_BUDGET_USD", "JANGBU_TIME_ZONE"),
    Condition.VERIFY_MISMATCH: ("JANGBU_VERIFY_SECONDS",),
}
"""The settings that decide when a condition raises an alert, besides how soon it is told again."""


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule as the page shows it. What is told once a month has no ``repeat_seconds``."""

    condition: Condition
    severity: Severity
    limit: int
    repeat_seconds: int | None
    settings: tuple[str, ...]
    mute: Mute | None
    minutes: tuple[int, ...]


async def show(look: Look) -> Mapping[str, Any]:
    """Read what is muted, and put it beside the rules of the settings."""
    settings, muted = look.settings, await _mutes(look).now()
    told = wanted_kinds(settings)
    return {
        "rules": [_rule(settings, condition, muted.get(condition)) for condition in MUTABLE],
        "mutes": await _mutes(look).lately(),
        "told": [(kind.value, kind in told, _app_value(settings, kind)) for kind in KINDS],
        "is_told": look.ledger.webhooks.is_told,
        "give_up_hours": settings.alert_give_up_seconds // 3600,
        "may_mute": look.may(OPERATIONS),
        "form_key": new_key(look),
    }


async def mute(look: Look) -> str:
    """Mute a condition until a time, for a reason."""
    condition, until, reason = _condition(look), _until(look), reason_of(look)
    try:
        await _mutes(look).mute(condition, until, reason=reason, key=key_of(look))
    except MuteTooLong as error:
        raise Wrong("until", last=look.formats.moment(error.last)) from error
    return look.url("/alerts/rules", notice="muted")


async def unmute(look: Look) -> str:
    """Have alerts of a condition sent again."""
    await _mutes(look).unmute(_condition(look))
    return look.url("/alerts/rules", notice="unmuted")


def _mutes(look: Look) -> Mutes:
    return Mutes(look.ledger.database, look.ledger.clock, project=look.settings.project)


def _rule(settings: Settings, condition: Condition, muted: Mute | None) -> RuleRow:
    rule, last = RULES[condition], longest(condition)
    repeated = rule.repeat_seconds is None
    seconds = settings.alert_repeat_seconds if repeated else rule.repeat_seconds
    limits = {
        Condition.RECORDING_DELAYED: settings.alert_delay_seconds,
        Condition.RECORDING_SPOOLED: settings.spool_after_seconds,
        Condition.UNKNOWN_OUTCOME: settings.hold_seconds,
        Condition.HOLD_LEAK: HOLD_LEAK_SECONDS,
        Condition.BUDGET_NEAR: NEAR_PER_CENT,
        Condition.BUDGET_SPENT: 100,
        Condition.VERIFY_MISMATCH: settings.verify_seconds,
    }
    return RuleRow(
        condition,
        rule.severity,
        int(limits.get(condition, 0)),
        None if condition in MONTHLY else seconds,
        (*_SETTINGS.get(condition, ()), *((_REPEATED,) if repeated else ())),
        muted,
        tuple(each for each in _MINUTES if timedelta(minutes=each) <= last),
    )


def _app_value(settings: Settings, kind: EventKind) -> int | None:
    return settings.low_balance_tokens if kind is EventKind.BALANCE_LOW else None


def _condition(look: Look) -> Condition:
    name = look.form.get("condition", "")
    require_one_of([each.value for each in MUTABLE], name)
    return Condition(name)


def _until(look: Look) -> datetime | timedelta:
    """Give until when: the time that was entered, as clocks of the page's zone show it, or for how many minutes."""
    text = look.form.get("until")
    if not text:
        minutes = look.form.get("minutes", "")
        require_one_of([str(each) for each in _MINUTES], minutes)
        return timedelta(minutes=int(minutes))
    return time_of(text, zone_named(look.formats.zone))


PAGE = Page(
    "/alerts/rules",
    "alerts_rules",
    READERS,
    show,
    {"mute": Action(mute, OPERATIONS), "unmute": Action(unmute, OPERATIONS)},
    in_menu=False,
)
