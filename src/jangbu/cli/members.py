"""``members``: who may sign in at the dashboard."""

from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.acting import me
from jangbu.cli.commands import command, group
from jangbu.cli.output import shown_moment
from jangbu.cli.session import Session
from jangbu.cli.tables import pairs, table
from jangbu.cli.values import whole_number
from jangbu.errors import InvalidInput
from jangbu.metering.facts import member_facts

if TYPE_CHECKING:
    from jangbu.domain.members import Member, MemberRole
    from jangbu.metering.members import SetUpLink

__all__ = ["linked", "register"]

_ADVICE = (
    "This is the only time that the link is shown. Whoever opens it chooses the password: send it as you would one."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The member's name or e-mail address.")]

members = group("members", "Say who may sign in at the dashboard, and as what.")


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.add_typer(members)


@command(members, "add")
async def add(
    session: Session,
    name: Name,
    role: Annotated[
        str, typer.Option(metavar="R", help="What they may do: owner, finance, developer or viewer.")
    ] = "viewer",
) -> None:
    """Make a member, and show a link by which they choose a password, once."""
    given = _role(role)
    async with session.ledger() as metering:
        member, link = await metering.members.invite(name, given, me())
    _show_link(session, member, link)


@command(members, "list")
async def list_members(
    session: Session, limit: Annotated[str, typer.Option(metavar="N", help="How many at most.")] = "100"
) -> None:
    """List members in the order of their names."""
    most = whole_number(limit, "limit", least=1, most=100_000)
    async with session.ledger() as metering:
        found = await metering.members.list(limit=most)
    columns = ("name", "role", "state", "signs in by", "made", "last signed in")

    def text() -> str:
        more = f"\n(more: --limit {most * 10})" if len(found) == most else ""
        empty = "no members; make one with `jangbu members add NAME --role owner`"
        return table(columns, map(_cells, found), empty=empty) + more

    session.show({"members": [member_facts(member) for member in found]}, text)


@command(members, "role")
async def give_role(
    session: Session,
    name: Name,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="owner, finance, developer or viewer.")],
) -> None:
    """Give a member another role; where they are signed in they have it at once. The last owner stays one."""
    given = _role(role)
    async with session.ledger() as metering:
        member = await metering.members.give_role(name, given, me())
    session.show(member_facts(member), lambda: f"{member.name} is {member.role} now")


@command(members, "block")
async def block(session: Session, name: Name) -> None:
    """Keep a member out and end their sessions. The last owner cannot be kept out."""
    async with session.ledger() as metering:
        member = await metering.members.block(name, actor=me())
    session.show(member_facts(member), lambda: f"{member.name} is blocked, and signed out everywhere")


@command(members, "unblock")
async def unblock(session: Session, name: Name) -> None:
    """Let a member in again, also one who guessed at their own password for too long."""
    async with session.ledger() as metering:
        member = await metering.members.block(name, False, actor=me())
    session.show(member_facts(member), lambda: f"{member.name} may sign in")


@command(members, "reset")
async def reset(session: Session, name: Name) -> None:
    """Show a link by which a member chooses another password; the old one holds until then."""
    async with session.ledger() as metering:
        link = await metering.members.reset(name, me())
    assert link.member is not None, "it was made for one"
    _show_link(session, link.member, link)


def linked(link: "SetUpLink", address: str) -> str:
    """Give a link below the address of the server that people use."""
    return address.rstrip("/") + link.path


def _show_link(session: Session, member: "Member", link: "SetUpLink") -> None:
    public = session.settings().public_url
    shown = linked(link, public or "")
    facts = member_facts(member) | {"link": shown, "link_expires_at": link.expires_at}
    where = "" if public else " It is below the address of `jangbu serve`, which JANGBU_PUBLIC_URL would put before it."

    def text() -> str:
        lines = [("link", shown), ("good until", shown_moment(link.expires_at)), ("name", member.name)]
        return pairs([*lines, ("role", member.role)]) + f"\n\n{_ADVICE}{where}"

    session.show(facts, text)


def _role(name: str) -> "MemberRole":
    from jangbu.domain.members import MemberRole

    try:
        return MemberRole(name.lower())
    except ValueError:
        raise InvalidInput(f"{name[:40]!r} is no role of a member", hint=f"one of {', '.join(MemberRole)}") from None


def _cells(member: "Member") -> tuple[str, ...]:
    ways = [
        "password" if member.has_password else None,
        None if member.identity is None else member.identity.issuer,
    ]
    return (
        member.name,
        member.role,
        member.state,
        " or ".join(way for way in ways if way is not None) or "the link, once",
        shown_moment(member.created_at),
        shown_moment(member.last_signed_in_at) or "never",
    )
