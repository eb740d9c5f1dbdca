"""``doctor``: whether everything that Jangbu needs is there and sound, and what to do where it is not."""

from dataclasses import asdict

import typer

from jangbu.cli.commands import command
from jangbu.cli.exits import ExitCode
from jangbu.cli.session import Session
from jangbu.cli.tables import table

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    command(app, "doctor")(doctor)


async def doctor(session: Session) -> None:
    """Check Python, google-genai, PostgreSQL, the schema, the disk, the prices and the clock; exit 1 on a failure."""
    from jangbu.cli.checkup import State, examine

    checks = await examine(session.settings())
    rows = [(check.state.value, check.name, check.found, check.advice) for check in checks]
    failed = any(check.state is State.FAIL for check in checks)
    session.show(
        {"ok": not failed, "checks": [asdict(check) for check in checks]},
        lambda: table(("state", "check", "found", "what to do"), rows),
    )
    if failed:
        raise typer.Exit(ExitCode.FAILURE)
