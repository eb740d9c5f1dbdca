"""``usage``: what answers report, and what was recorded of them."""

from typing import Annotated, Any

import typer

from jangbu.cli.answers import SurfaceName, answer_usage
from jangbu.cli.commands import command, group
from jangbu.cli.output import json_text, write_data
from jangbu.cli.session import Session
from jangbu.errors import InvalidInput

__all__ = ["register"]

usage = group("usage", "Read the usage of an answer, and add up what was recorded.")


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.add_typer(usage)


@command(usage, "parse")
def parse(
    session: Session,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Answers as Gemini sent them; - reads standard input.")
    ],
    surface: SurfaceName = None,
) -> None:
    """Print what an answer used as JSON; several files give one line each. No database is needed."""
    if len(files) == 1:
        write_data(json_text(_described(files[0], surface)))
        return
    failed: list[str] = []
    for file in files:
        try:
            line: dict[str, Any] = {"file": file, **_described(file, surface)}
        except InvalidInput as error:
            failed.append(file)
            line = {"file": file, "error": {"code": error.code, "message": error.message, "hint": error.hint}}
        write_data(json_text(line))
    if failed:
        raise InvalidInput(f"{len(failed)} of {len(files)} files cannot be used", hint="their lines say why")


def _described(file: str, surface: str | None) -> dict[str, Any]:
    from jangbu.providers.describe import describe

    return describe(answer_usage(file, surface))
