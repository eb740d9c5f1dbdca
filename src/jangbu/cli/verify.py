"""``verify``: every figure of the book, recomputed."""

from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.commands import command
from jangbu.cli.money import counted
from jangbu.cli.output import shown_moment
from jangbu.cli.progress import progress
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import whole_number
from jangbu.errors import IntegrityMismatch
from jangbu.metering.facts import mismatch_facts

if TYPE_CHECKING:
    from jangbu.metering.verify import Mismatch, Report

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    command(app, "verify")(verify)


async def verify(
    session: Session,
    full: Annotated[bool, typer.Option("--full", help="Check everything again, from the first entry on.")] = False,
    limit: Annotated[str, typer.Option(metavar="N", help="How many rows of each kind to list at most.")] = "100",
) -> None:
    """Recompute balances, entries, rollups and costs, and print what differs: nothing. Exit 6 otherwise.

    The first time everything is checked; after that, where nothing differed, what moved since: every balance against
    its holds and against what it was; and of the accounts that moved, the entries after the last one that was verified
    with their hashes, the totals, and the records, debits, days and hours of the time since and of the hour before it.

    Only --full sees an older row that was changed where it stands, a price that was filled in for an older call, and a
    record that arrived more than an hour after its call against its evidence. Run it now and then: nightly, say.
    """
    most = whole_number(limit, "limit", least=1, most=100_000)
    settings = session.settings()
    project = settings.project
    async with session.ledger() as metering:
        from jangbu.cli.spool import spools_of
        from jangbu.metering.evidence import restated
        from jangbu.metering.verify import Invariant, Verification

        with progress(session) as tell:
            report = await Verification(metering.database, project, spools=spools_of(settings)).run(
                full=full,
                recompute=metering.pricing.reprice,
                restate=restated,
                progress=tell,
                limit=most,
            )
    session.show(_facts(report), lambda: _text(report))
    if not report.is_clean:
        hint = "stop writing; restore a backup, or correct them by adjustments with a reason"
        if all(each.invariant is Invariant.SPOOL for each in report.mismatches):
            hint = "what is recorded adds up; see `jangbu spool status` for what is not"
        raise IntegrityMismatch(f"the book does not add up in {counted(len(report.mismatches), 'place')}", hint=hint)


def _facts(report: "Report") -> dict[str, object]:
    return {
        "ok": report.is_clean,
        "since": report.since,
        "accounts": report.accounts,
        "records": report.records,
        "checked": report.checked,
        "mismatches": [mismatch_facts(each) for each in report.mismatches],
        "cut": sorted(report.cut),
    }


def _text(report: "Report") -> str:
    since = "" if report.since is None else f"; since {shown_moment(report.since)}"
    checked = (
        f"{counted(report.accounts, 'account')} and {counted(report.records, 'record')}: "
        f"{', '.join(report.checked)}{since}"
    )
    if report.is_clean:
        return f"everything adds up ({checked})"
    listed = table(("check", "user", "what", "expected>", "found>"), [_cells(each) for each in report.mismatches])
    more = f"\n(more of: {', '.join(sorted(report.cut))})" if report.cut else ""
    return f"{listed}{more}\nverified {checked}"


def _cells(mismatch: "Mismatch") -> tuple[str, ...]:
    return (
        mismatch.invariant.value,
        mismatch.user or "",
        mismatch.what,
        _figure(mismatch.expected),
        _figure(mismatch.found),
    )


def _figure(value: int | str | None) -> str:
    return "unknown" if value is None else f"{value:,}" if isinstance(value, int) else value
