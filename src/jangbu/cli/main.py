"""The ``jangbu`` command. What a command needs is imported when it runs, so that help answers at once."""

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from jangbu.cli import accounts, calls, configuration, cost, databases, doctor, holds, ledger, prices, usage, verify
from jangbu.cli.commands import AsJson, DatabaseUrl, DataDir, Project, command, root_options
from jangbu.cli.exits import ExitCode, exit_code
from jangbu.cli.output import tell_error, write_data
from jangbu.cli.session import Session
from jangbu.errors import JangbuError

__all__ = ["app", "main"]

app = typer.Typer(
    name="jangbu",
    help="The account book for the Gemini tokens that an app's users spend.",
    epilog="Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 auth, 5 insufficient balance, "
    "6 integrity mismatch, 7 database unreachable, 130 interrupted.",
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


@command(app, "demo")
def demo(
    session: Session,
    trace: Annotated[str | None, typer.Option(metavar="FILE", help="The calls to replay.", show_default=False)] = None,
    responses: Annotated[
        str | None, typer.Option(metavar="DIR", help="Recorded answers to use.", show_default=False)
    ] = None,
) -> None:
    """Run the whole product on a fake Gemini and print a report."""
    from importlib import import_module

    import_module("jangbu.cli.demo").run(session, trace=trace, responses=responses)


for part in (accounts, calls, usage, cost, ledger, verify, holds, prices, databases, configuration, doctor):
    part.register(app)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code; expected errors take one line, never a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _prepare_streams()
    sys.exit(_run(words))


def _run(words: list[str]) -> int:
    as_json = "--json" in words
    try:
        ended: object = app(words, prog_name="jangbu", standalone_mode=False)
    except JangbuError as error:
        _show_traceback()
        tell_error(error.code, error.message, error.hint, as_json=as_json)
        return exit_code(error)
    except typer.TyperException as error:
        return _usage_error(error, as_json)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(as_json)
    except Exception as error:
        _show_traceback()
        hint = "this is a defect of Jangbu; JANGBU_DEBUG=1 shows where"
        tell_error("failure", f"{type(error).__name__}: {error}", hint, as_json=as_json)
        return ExitCode.FAILURE
    if ended == ExitCode.INTERRUPTED:
        return _interrupted(as_json)
    return ended if isinstance(ended, int) else ExitCode.OK


def _usage_error(error: typer.TyperException, as_json: bool) -> int:
    """Say what cannot be understood; a command without arguments shows its help instead."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        write_data(error.format_message())
        return ExitCode.USAGE
    path = context.command_path if context is not None else "jangbu"
    message = error.format_message().rstrip(".")
    tell_error("usage", message[:1].lower() + message[1:], f"see `{path} --help`", as_json=as_json)
    return ExitCode.USAGE


def _interrupted(as_json: bool) -> int:
    tell_error("interrupted", "interrupted", "what was not reported as done may be run again", as_json=as_json)
    return ExitCode.INTERRUPTED


def _prepare_streams() -> None:
    """Have every text writable, and keep libraries' warnings out of our one line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if not _debugging():
        logging.getLogger().addHandler(logging.NullHandler())


def _show_traceback() -> None:
    if _debugging():
        traceback.print_exc()


def _debugging() -> bool:
    return os.environ.get("JANGBU_DEBUG", "") not in ("", "0")
