"""The ``demo`` command: its options, its report and its exit code."""

from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.commands import command
from jangbu.cli.session import Session
from jangbu.cli.values import whole_number
from jangbu.errors import IntegrityMismatch

if TYPE_CHECKING:
    from jangbu.cli.demo.figures import DemoReport

__all__ = ["register", "run"]

CALLS = 2_400
CALLS_MOST = 1_000_000
SEED_MOST = 2**31 - 1


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    command(app, "demo")(demo)


def demo(
    session: Session,
    trace: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A recorded trace (CSV, also gzipped) to follow.", show_default=False),
    ] = None,
    responses: Annotated[
        str | None, typer.Option(metavar="DIR", help="Recorded answers to meter, too.", show_default=False)
    ] = None,
    calls: Annotated[str, typer.Option(metavar="N", help="How many calls to make at most.")] = str(CALLS),
    seed: Annotated[str, typer.Option(metavar="N", help="The same seed gives the same calls.")] = "1",
) -> None:
    """Run the whole product on a fake Gemini and print a report. Exit 6 if anything differs from what was answered."""
    run(
        session,
        trace=trace,
        responses=responses,
        calls=whole_number(calls, "the number of calls", least=1, most=CALLS_MOST),
        seed=whole_number(seed, "the seed", most=SEED_MOST),
    )


def run(
    session: Session, *, trace: str | None = None, responses: str | None = None, calls: int = CALLS, seed: int = 1
) -> None:
    """Run the demo on the ledger of the session, or on one of its own that is gone afterwards.

    Raises IntegrityMismatch after the report where the ledger differs from what was answered.
    """
    from jangbu.cli.demo.options import Options
    from jangbu.cli.demo.page import page
    from jangbu.cli.demo.stage import perform_demo

    report = perform_demo(session, Options(trace, responses, calls, seed))
    session.show(report.facts(), lambda: page(report))
    _require_sound(report)


def _require_sound(report: "DemoReport") -> None:
    if not report.is_sound:
        raise IntegrityMismatch(
            f"{report.difference_count} figures differ from what was answered", hint="the rows are in the report"
        )
