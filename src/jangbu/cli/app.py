"""The commands, nouns then verbs. What one needs is imported when it runs, so that help answers at once."""

from typing import Annotated

import typer

from jangbu.cli import (
    accounts,
    alerts,
    backups,
    call_files,
    calls,
    configuration,
    cost,
    databases,
    demo,
    doctor,
    exports,
    holds,
    keys,
    ledger,
    members,
    prices,
    serve,
    spool,
    usage,
    verify,
    webhooks,
)
from jangbu.cli.commands import AsJson, DatabaseUrl, DataDir, Project, root_options
from jangbu.cli.output import write_data

__all__ = ["app"]

app = typer.Typer(
    name="jangbu",
    help="The account book for the Gemini tokens that an app's users spend.",
    epilog="Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 auth, "
    "5 insufficient balance (calls made through Jangbu), 6 integrity mismatch, 7 database unreachable, "
    "130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        write_data(f"jangbu {version('jangbu')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
    project: Project = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Keep the options that stand before the noun."""
    del version
    root_options(context, as_json, database_url, data_dir, project)


for part in (
    demo,
    accounts,
    calls,
    usage,
    call_files,
    cost,
    ledger,
    exports,
    verify,
    holds,
    spool,
    keys,
    members,
    alerts,
    webhooks,
    prices,
    databases,
    backups,
    configuration,
    doctor,
    serve,
):
    part.register(app)
