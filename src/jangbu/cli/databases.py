"""``db``: the schema, for those who run their own PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jangbu.cli.commands import command, group
from jangbu.cli.configuration import without_password
from jangbu.cli.money import counted
from jangbu.cli.output import write_data, write_message
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import whole_number
from jangbu.errors import InvalidInput, JangbuError

if TYPE_CHECKING:
    from jangbu.config import Settings
    from jangbu.metering.retention import Partition

__all__ = ["databases", "register"]

databases = group(
    "db", "Back up and restore, upgrade the schema, print its SQL or the database's address, drop old records."
)


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.add_typer(databases)


@command(databases, "upgrade")
async def upgrade(session: Session) -> None:
    """Bring the database to the schema of this release; again it changes nothing."""
    settings = session.settings()
    from jangbu.clock import SystemClock
    from jangbu.locations import database_address
    from jangbu.metering.audit import Change, note_beside
    from jangbu.storage import migrate

    async def note(connection: Any, before: str | None) -> None:
        former = None if before is None else {"revision": before}
        change = Change("schema.upgrade", "schema", former, {"revision": migrate.HEAD})
        await note_beside(connection, SystemClock(), settings.project, change)

    async with database_address(settings) as dsn:
        before, after = await migrate.upgrade(dsn, note)
    if before == after:
        said = f"the schema is at revision {after} already"
    else:
        said = f"the schema was upgraded from {before or 'nothing'} to revision {after}"
    session.show({"before": before, "after": after}, lambda: said)


@command(databases, "retain")
async def retain(
    session: Session,
    months: Annotated[str, typer.Option("--months", metavar="N", help="How many full months to keep.")],
    yes: Annotated[bool, typer.Option("--yes", help="Drop without asking.")] = False,
) -> None:
    """Drop the calls' records that are older than N full months, of all projects; every sum and the ledger stay.

    Without --yes it shows what would be dropped, and asks where somebody can answer.
    """
    kept = whole_number(months, "months", least=1, most=1200)
    async with session.ledger() as metering:
        from jangbu.metering.retention import Retention, refusal

        retention = Retention(metering.database, metering.audit)
        found = await retention.due(kept)
        refused = [f"{each.name} is kept: {reason}" for each in found if (reason := refusal(each))]
        dropping = [each for each in found if not refusal(each)]
        if not session.as_json:
            write_data(_partitions(found))
        if not yes and not (dropping and session.agrees("Drop these records for good?")):
            dropping = []
        records = sum([await retention.drop(each) for each in dropping])
    facts = [asdict(each) | {"refusal": refusal(each), "dropped": each in dropping} for each in found]
    session.show(
        {"months": kept, "partitions": facts},
        lambda: f"dropped {counted(records, 'record')}" if dropping else "nothing was dropped",
    )
    if refused and yes:
        raise JangbuError(refused[0] if len(refused) == 1 else f"{refused[0]} (and {len(refused) - 1} more)")


def _partitions(found: "Sequence[Partition]") -> str:
    from jangbu.metering.retention import refusal

    rows = [
        (each.name, f"{each.records:,}", f"{each.bytes // 1024:,}", refusal(each) or "may be dropped") for each in found
    ]
    return table(("partition", "records>", "KiB>", "state"), rows, empty="no partition is that old")


@command(databases, "url")
async def url(session: Session) -> None:
    """Print the database's address, for psql and other tools: the embedded ledger's, or your server's, masked."""
    settings = session.settings()
    if settings.database_url is not None:
        address = without_password(settings.database_url.get_secret_value())
        session.show({"url": address, "stays_seconds": None}, lambda: address)
        return
    from jangbu.locations import database_address
    from jangbu.storage.embedded.server import GRACE_SECONDS

    async with database_address(settings) as dsn:
        session.show({"url": dsn, "stays_seconds": GRACE_SECONDS}, lambda: dsn)
    if not session.as_json:
        write_message(
            f"the server stops {GRACE_SECONDS} seconds after Jangbu last used it; "
            "leave `jangbu serve` running while you use another program"
        )


@command(databases, "policies")
async def policies(
    session: Session,
    role: Annotated[
        str | None,
        typer.Option("--role", metavar="ROLE", help="The PostgreSQL role that may.", show_default="authenticated"),
    ] = None,
    claim: Annotated[
        str,
        typer.Option("--claim", metavar="NAME", help="The claim of its JWT that names the user.", show_default=True),
    ] = "sub",
    whole_project: Annotated[
        bool, typer.Option("--whole-project", help="Let it read all rows of the project, not one user's.")
    ] = False,
    writes: Annotated[
        bool,
        typer.Option("--writes", help="Let it write the project's rows, too: a role for Jangbu itself to connect as."),
    ] = False,
    with_costs: Annotated[
        bool, typer.Option("--with-costs", help="Let it read what calls cost by the price list, too.")
    ] = False,
    is_applied: Annotated[bool, typer.Option("--apply", help="Put it in force here instead of printing it.")] = False,
) -> None:
    """Print the SQL by which a role has its own rows and nothing else: row-level security, as Supabase has it."""
    settings = session.settings()
    if writes and (role is None or not whole_project):
        raise InvalidInput("--writes is for one role and all of a project", hint="give --role ROLE --whole-project")
    if writes and with_costs:
        raise InvalidInput("--with-costs is for a role that only reads", hint="who writes the costs reads them anyway")
    named = "authenticated" if role is None else role
    given = {"claim": None if whole_project else claim, "writes": writes, "with_costs": with_costs or writes}
    text = _policies(settings, named, given)
    if is_applied:
        await _apply(settings, text, given, f"role:{named}")
    if session.as_json:
        facts = {"role": named, **given, "project": settings.project, "sql": text, "applied": is_applied}
        session.show(facts, lambda: text)
    elif is_applied:
        may = "reads and writes" if writes else "reads with costs" if with_costs else "reads without costs"
        write_data(f"role {named} {may} {'the project' if whole_project else 'its own rows'} from now on")
    else:
        write_data(f"BEGIN;\n\n{text.rstrip()}\n\nCOMMIT;")


def _policies(settings: "Settings", role: str, given: Mapping[str, Any]) -> str:
    from jangbu.storage.policies import policies_sql, worker_sql

    if given["writes"]:
        return worker_sql(role=role, project=settings.project)
    return policies_sql(role=role, project=settings.project, claim=given["claim"], with_costs=given["with_costs"])


async def _apply(settings: "Settings", text: str, facts: Mapping[str, object], role: str) -> None:
    from jangbu.clock import SystemClock
    from jangbu.locations import database_address
    from jangbu.metering.audit import Change, note_beside
    from jangbu.storage.policies import apply

    async def note(connection: Any) -> None:
        await note_beside(connection, SystemClock(), settings.project, Change("policies.apply", role, after=facts))

    async with database_address(settings) as dsn:
        await apply(dsn, text, note)


@command(databases, "sql")
def sql(
    session: Session,
    revision: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="REVISION", help="The revision to upgrade from.", show_default="an empty database"
        ),
    ] = None,
) -> None:
    """Print the SQL that `db upgrade` runs; it touches no database."""
    from jangbu.storage.migrate import HEAD, upgrade_sql

    text = upgrade_sql(revision)
    if session.as_json:
        session.show({"before": revision, "after": HEAD, "sql": text}, lambda: text)
    else:
        write_data(f"BEGIN;\n\n{text.rstrip()}\n\nCOMMIT;")
