"""The ``jangbu`` command: it runs the command line and turns whatever goes wrong into one line and an exit code.

The commands themselves are imported inside the guard, so that even an interrupt while Python still reads files ends
in one line.
"""

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from jangbu.cli.exits import ExitCode, exit_code
from jangbu.cli.output import tell_error, write_data
from jangbu.errors import JangbuError

if TYPE_CHECKING:
    import typer

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code; expected errors take one line, never a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _prepare_streams()
    sys.exit(_run(words))


def _run(words: list[str]) -> int:
    as_json = "--json" in words
    try:
        return _run_app(words, as_json)
    except JangbuError as error:
        _show_traceback()
        tell_error(error.code, error.message, error.hint, as_json=as_json)
        return exit_code(error)
    except KeyboardInterrupt:
        return _interrupted(as_json)
    except Exception as error:
        _show_traceback()
        hint = "this is a defect of Jangbu; JANGBU_DEBUG=1 shows where"
        tell_error("failure", f"{type(error).__name__}: {error}", hint, as_json=as_json)
        return ExitCode.FAILURE


def _run_app(words: list[str], as_json: bool) -> int:
    import typer

    from jangbu.cli.app import app

    try:
        ended: object = app(words, prog_name="jangbu", standalone_mode=False)
    except typer.TyperException as error:
        return _usage_error(error, as_json)
    if ended == ExitCode.INTERRUPTED:
        return _interrupted(as_json)
    return ended if isinstance(ended, int) else ExitCode.OK


def _usage_error(error: "typer.TyperException", as_json: bool) -> int:
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
