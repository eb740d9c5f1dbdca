"""``alerts``: what was told, whether it arrived, through which channels, and under which conditions."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli import alert_findings as findings
from jangbu.cli import alert_mutes as mutes
from jangbu.cli.channel_tests import tested
from jangbu.cli.commands import command, group
from jangbu.cli.exits import ExitCode
from jangbu.cli.money import counted, dollars
from jangbu.cli.output import shown_moment
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import whole_number
from jangbu.metering.alert_facts import alert_facts

if TYPE_CHECKING:
    from jangbu.config import Settings
    from jangbu.errors import AlertUndelivered
    from jangbu.metering.alert_delivery import Outcome
    from jangbu.storage.alerts import AlertRow

__all__ = ["register"]

alerts = group(
    "alerts", "Show alerts and findings, look into them, test the channels, list the rules, mute conditions."
)


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    findings.register(alerts)
    mutes.register(alerts)
    app.add_typer(alerts)


@command(alerts, "list")
async def list_alerts(
    session: Session,
    undelivered: Annotated[
        bool, typer.Option("--undelivered", help="Only those that did not reach every channel.")
    ] = False,
    limit: Annotated[str, typer.Option(metavar="N", help="How many at most.")] = "100",
) -> None:
    """List alerts, newest first."""
    most = whole_number(limit, "limit", least=1, most=100_000)
    language = session.settings().alert_language
    async with session.ledger() as metering:
        found = await metering.alerts.page(only_undelivered=undelivered, limit=most)
    from jangbu.alerts.texts import text_of

    texts = [text_of(row.alert, language) for row in found]
    columns = ("raised", "condition", "phase", "state", "tries>", "arrived by", "not by", "what")
    # What has no channel here may have one in the process that delivers.
    facts = [alert_facts(row, text, has_channels=True) for row, text in zip(found, texts, strict=True)]
    session.show({"alerts": facts}, lambda: table(columns, map(_cells, found, facts), empty="no alerts"))


@command(alerts, "test")
async def try_channels(
    session: Session,
    channel: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this one; `alerts rules` lists them.", show_default=False)
    ] = None,
) -> None:
    """Send a test alert through every channel now, and say where it arrived; exit 1 unless it arrived everywhere."""
    settings = session.settings()
    from jangbu.clock import SystemClock
    from jangbu.errors import NotFound
    from jangbu.wiring import alert_delivery

    delivery = alert_delivery(settings, SystemClock())
    names = [each for each in delivery.names if channel in {None, each}]
    if not names:
        raise NotFound(f"there is no channel {(channel or '')[:40]!r}", hint=f"there are {', '.join(delivery.names)}")

    async def send(name: str) -> "AlertUndelivered | None":
        return (await delivery.test(name))[name]

    results, is_noted = await tested(session, {name: partial(send, name) for name in names})
    failed = any(results.values())
    session.show(
        {"ok": not failed, "noted": is_noted, "channels": [_result(name, error) for name, error in results.items()]},
        lambda: table(("channel", "arrived", "why not", "what to do"), _result_rows(results)),
    )
    if failed:
        raise typer.Exit(ExitCode.FAILURE)


@command(alerts, "rules")
def rules(session: Session) -> None:
    """List the conditions that raise alerts, their thresholds, and the channels; the settings decide them."""
    settings = session.settings()
    from jangbu.alerts.channels import channels_of
    from jangbu.domain.alerts import MONTHLY, RULES, Condition

    channels = ["log", *(channel.name for channel in channels_of(settings))]
    repeats = {
        each: settings.alert_repeat_seconds if rule.repeat_seconds is None else rule.repeat_seconds
        for each, rule in RULES.items()
    }
    found = [
        {
            "condition": each.value,
            "severity": rule.severity.value,
            "raised": _raised_when(settings)[each.value],
            "repeat_seconds": None if each in MONTHLY else repeats[each],
        }
        for each, rule in RULES.items()
        if each is not Condition.TEST
    ]
    rows = [(str(e["condition"]), str(e["severity"]), _again(e["repeat_seconds"]), str(e["raised"])) for e in found]
    session.show(
        {"channels": channels, "language": settings.alert_language, "rules": found},
        lambda: f"{table(('condition', 'severity', 'again after>', 'raised'), rows)}\nchannels: {', '.join(channels)}",
    )


@command(alerts, "deliver")
async def deliver(session: Session) -> None:
    """Deliver what is due once, as `jangbu serve` does all the time; exit 1 if something did not arrive."""
    from jangbu.errors import DatabaseUnreachable
    from jangbu.wiring import alert_delivery

    settings = session.settings()
    try:
        async with session.ledger() as metering:
            delivery = alert_delivery(settings, metering.clock, metering.database)
            outcome = await delivery.deliver_local() + await delivery.deliver_shared()
            delivery.close()
    except DatabaseUnreachable:
        outcome = await _deliver_here(settings)
        if outcome.delivered + outcome.undelivered == 0:
            raise
    said = f"{counted(outcome.delivered, 'alert')} delivered, {outcome.undelivered:,} not"
    session.show({"delivered": outcome.delivered, "undelivered": outcome.undelivered}, lambda: said)
    if outcome.undelivered:
        raise typer.Exit(ExitCode.FAILURE)


async def _deliver_here(settings: "Settings") -> "Outcome":
    """Deliver what waits on this machine: that the database is away is the very thing that it tells."""
    from jangbu.clock import SystemClock
    from jangbu.wiring import alert_delivery

    return await alert_delivery(settings, SystemClock()).deliver_local()


def _raised_when(settings: "Settings") -> dict[str, str]:
    from jangbu.domain.alerts import HOLD_LEAK_SECONDS, RECORDING_REPEAT_SECONDS
    from jangbu.domain.budgets import NEAR_PER_CENT

    budget = "JANGBU_MONTHLY_BUDGET_USD, which is not set"
    if settings.monthly_budget_nano is not None:
        budget = dollars(settings.monthly_budget_nano)
    lasting = f"then each {RECORDING_REPEAT_SECONDS} s, and when it ends"
    return {
        "recording_failed": f"at the first record that could not be made durable, {lasting}",
        "recording_delayed": f"when recording is retried for {settings.alert_delay_seconds:,} s, {lasting}",
        "recording_spooled": f"at the first record that is kept in the local spool, {lasting}",
        "unknown_outcome": "when the outcome of calls is unknown and their tokens stay held",
        "overrun": "when calls used more tokens than were held for them",
        "late": "when calls were settled after their holds were given back",
        "unpriced": "when calls have no price",
        "hold_leak": f"when holds are open {HOLD_LEAK_SECONDS:,} s after their time",
        "budget_near": f"when a month's calls have cost {NEAR_PER_CENT}% of {budget}; once a month",
        "budget_spent": f"when a month's calls have cost {budget}; once a month",
        "verify_mismatch": "when a verification finds that the book does not add up",
    }


def _again(seconds: object) -> str:
    return "a month" if seconds is None else f"{seconds:,} s"


def _cells(row: "AlertRow", facts: "Mapping[str, object]") -> tuple[str, ...]:
    return (
        shown_moment(row.alert.raised_at),
        row.alert.condition.value,
        row.alert.phase.value,
        str(facts["state"]),
        f"{row.attempts:,}",
        ", ".join(row.delivered_to),
        ", ".join(f"{channel}: {why}" for channel, why in row.errors.items()),
        str(facts["text"]),
    )


def _result(name: str, error: "AlertUndelivered | None") -> dict[str, object]:
    if error is None:
        return {"channel": name, "arrived": True, "message": None, "hint": None}
    return {"channel": name, "arrived": False, "message": error.message, "hint": error.hint or None}


def _result_rows(results: "Mapping[str, AlertUndelivered | None]") -> list[tuple[str, ...]]:
    return [
        (name, "yes", "", "") if error is None else (name, "no", error.message, error.hint)
        for name, error in results.items()
    ]
