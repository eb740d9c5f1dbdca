"""``alerts mute``, ``unmute`` and ``mutes``: conditions of which nobody is sent alerts for a while."""

from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.acting import me
from jangbu.cli.commands import command
from jangbu.cli.output import shown_moment
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import moment, span
from jangbu.errors import InvalidInput

if TYPE_CHECKING:
    from jangbu.domain.alerts import Condition
    from jangbu.domain.mutes import Mute
    from jangbu.metering.meter import Metering
    from jangbu.metering.mutes import Mutes

__all__ = ["register"]

Named = Annotated[str, typer.Argument(metavar="CONDITION", help="What is wrong; `alerts rules` lists the conditions.")]


def register(alerts: typer.Typer) -> None:
    """Add the verbs to the group."""
    command(alerts, "mute")(mute)
    command(alerts, "unmute")(unmute)
    command(alerts, "mutes")(list_mutes)


async def mute(
    session: Session,
    condition: Named,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; others see it.")],
    length: Annotated[
        str | None, typer.Option("--for", metavar="SPAN", help="For how long, like 30m, 8h or 2d.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Until when, like 2027-01-31T09:00Z.")] = None,
) -> None:
    """Keep alerts of a condition unsent for a while; failures of recording for an hour at most."""
    from jangbu.metering.audit import Change

    wanted = _condition(condition)
    if (length is None) == (until is None):
        raise InvalidInput("it is not said until when", hint="give either --for or --until")
    lasting = None if length is None else span(length, "--for")
    asked = None if until is None else moment(until, "--until")
    async with session.ledger() as metering:
        mutes, actor = _mutes(session, metering), me()
        end = asked if lasting is None else await metering.database.now() + lasting
        assert end is not None, "one of the two is given"
        made = await metering.audit.done(
            actor,
            Change("alerts.mute", f"condition:{wanted}"),
            lambda: mutes.mute(wanted, end, reason=reason, by=actor.name),
            lambda found: {"until": found.until.isoformat(), "reason": reason},
        )
    session.show(_facts(made), lambda: f"{wanted.value} is muted until {shown_moment(made.until)}")


async def unmute(session: Session, condition: Named) -> None:
    """Have alerts of a condition sent again, from now on."""
    from jangbu.metering.audit import Change

    wanted = _condition(condition)
    async with session.ledger() as metering:
        mutes = _mutes(session, metering)
        ended = await metering.audit.done(
            me(),
            Change("alerts.unmute", f"condition:{wanted}"),
            lambda: mutes.unmute(wanted),
            lambda found: {"mutes": len(found)} if found else None,
        )
    said = f"{wanted.value} is muted no more" if ended else f"{wanted.value} was not muted"
    session.show({"condition": wanted.value, "ended": len(ended)}, lambda: said)


async def list_mutes(session: Session) -> None:
    """List what is muted, or was within a month, newest first."""
    async with session.ledger() as metering:
        found = await _mutes(session, metering).lately()
    columns = ("condition", "from", "to", "by", "reason")
    session.show({"mutes": [_facts(each) for each in found]}, lambda: table(columns, map(_cells, found), empty="none"))


def _mutes(session: Session, metering: "Metering") -> "Mutes":
    from jangbu.metering.mutes import Mutes

    return Mutes(metering.database, metering.clock, project=session.settings().project)


def _condition(name: str) -> "Condition":
    from jangbu.domain.alerts import Condition
    from jangbu.domain.mutes import MUTABLE

    if name not in {each.value for each in MUTABLE}:
        raise InvalidInput(f"{name[:40]!r} is no condition", hint=f"there are {', '.join(MUTABLE)}")
    return Condition(name)


def _facts(mute: "Mute") -> dict[str, object]:
    return {
        "condition": mute.condition,
        "muted_at": mute.muted_at,
        "until": mute.until,
        "ended_at": mute.ended_at,
        "muted_by": mute.muted_by,
        "reason": mute.reason,
    }


def _cells(mute: "Mute") -> tuple[str, ...]:
    return mute.condition.value, shown_moment(mute.muted_at), shown_moment(mute.end), mute.muted_by, mute.reason
