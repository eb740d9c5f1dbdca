"""``alerts mute``, ``unmute`` and ``mutes``: conditions of which nobody is sent alerts for a while."""

from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.commands import command
from jangbu.cli.output import shown_moment
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import moment, span
from jangbu.errors import InvalidInput
from jangbu.metering.alert_facts import mute_facts

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
    wanted = _condition(condition)
    if (length is None) == (until is None):
        raise InvalidInput("it is not said until when", hint="give either --for or --until")
    lasting = None if length is None else span(length, "--for")
    end = lasting if until is None else moment(until, "--until")
    assert end is not None, "one of the two is given"
    async with session.ledger() as metering:
        made, _ = await _mutes(session, metering).mute(wanted, end, reason=reason)
    session.show(mute_facts(made), lambda: f"{wanted.value} is muted until {shown_moment(made.until)}")


async def unmute(session: Session, condition: Named) -> None:
    """Have alerts of a condition sent again, from now on."""
    wanted = _condition(condition)
    async with session.ledger() as metering:
        ended, _ = await _mutes(session, metering).unmute(wanted)
    said = f"{wanted.value} is muted no more" if ended else f"{wanted.value} was not muted"
    session.show({"condition": wanted.value, "ended": ended}, lambda: said)


async def list_mutes(session: Session) -> None:
    """List what is muted, or was within a month, newest first."""
    async with session.ledger() as metering:
        found = await _mutes(session, metering).lately()
    columns = ("condition", "from", "to", "by", "reason")
    session.show(
        {"mutes": [mute_facts(each) for each in found]}, lambda: table(columns, map(_cells, found), empty="none")
    )


def _mutes(session: Session, metering: "Metering") -> "Mutes":
    from jangbu.metering.mutes import Mutes

    return Mutes(metering.database, metering.clock, project=session.settings().project)


def _condition(name: str) -> "Condition":
    from jangbu.domain.alerts import Condition
    from jangbu.domain.mutes import MUTABLE

    if name not in {each.value for each in MUTABLE}:
        raise InvalidInput(f"{name[:40]!r} is no condition", hint=f"there are {', '.join(MUTABLE)}")
    return Condition(name)


def _cells(mute: "Mute") -> tuple[str, ...]:
    return mute.condition.value, shown_moment(mute.muted_at), shown_moment(mute.end), mute.muted_by, mute.reason
