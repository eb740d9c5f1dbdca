"""How a function becomes a command: the common options, the session, the event loop, and numbers below zero."""

import functools
import inspect
import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from jangbu.cli.session import Session
from jangbu.errors import JangbuError

__all__ = ["DefaultVerb", "command", "group", "root_options"]

_MINUS = "\u2212"
_BELOW_ZERO = re.compile(r"-[0-9][0-9,._]*")

_PANEL = "On every command"
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.", rich_help_panel=_PANEL)]
DatabaseUrl = Annotated[
    str | None, typer.Option("--database-url", metavar="URL", help="The PostgreSQL server to use.", show_default=False)
]
DataDir = Annotated[
    str | None, typer.Option("--data-dir", metavar="DIR", help="Where the embedded ledger lies.", show_default=False)
]
Project = Annotated[
    str | None, typer.Option("--project", metavar="NAME", help="The project whose users are meant.", show_default=False)
]
_COMMON = {"as_json": (AsJson, False), "database_url": (DatabaseUrl, None), "data_dir": (DataDir, None)} | {
    "project": (Project, None)
}

Function = Callable[..., None] | Callable[..., Coroutine[Any, Any, None]]


def group(name: str, help_line: str, *, cls: type[TyperGroup] | None = None) -> typer.Typer:
    """Make a group of verbs under a noun."""
    return typer.Typer(name=name, help=help_line, cls=cls, no_args_is_help=True, rich_markup_mode=None)


def command(app: typer.Typer, name: str) -> Callable[[Function], Function]:
    """Make ``function(session, ...)`` the command ``name``; a coroutine function gets an event loop."""

    def register(function: Function) -> Function:
        app.command(name, cls=_Command)(_with_session(function))
        return function

    return register


def root_options(
    context: typer.Context,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
    project: Project = None,
) -> None:
    """Keep the options that stand before the verb."""
    context.obj = Session(as_json, database_url, data_dir, project)


class DefaultVerb(TyperGroup):
    """A noun that shows by itself: ``ledger USER`` is ``ledger show USER``."""

    default_verb = "show"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb in where the first word is none. A user who is named like a verb needs it written out."""
        first = next((index for index, arg in enumerate(args) if not arg.startswith("-")), None)
        if first is not None and args[first] in self.commands:
            args = [args[first], *args[:first], *args[first + 1 :]]
        elif first is not None or (args and args[0] not in ctx.help_option_names):
            args = [self.default_verb, *args]
        return super().parse_args(ctx, args)


class _Command(TyperCommand):
    """A command to which ``-500`` is a number and no option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Hide the minus of a number where an argument may stand, and put it back once the options are found."""
        taking = {name for option in self.params if not getattr(option, "is_flag", True) for name in option.opts}
        words, hidden = list(args), set()
        for index, word in enumerate(words):
            if word == "--":
                break
            if _BELOW_ZERO.fullmatch(word) and (index == 0 or words[index - 1] not in taking):
                words[index] = _MINUS + word[1:]
                hidden.add(words[index])
        rest = super().parse_args(ctx, words)
        for name, value in ctx.params.items():
            if isinstance(value, str) and value in hidden:
                ctx.params[name] = "-" + value[1:]
        return rest


def _with_session(function: Function) -> Callable[..., None]:
    """Wrap a function so that typer sees its own parameters and the common options."""
    own = list(inspect.signature(function).parameters.values())[1:]
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _COMMON.items()
    ]
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

    @functools.wraps(function)
    def run(**values: Any) -> None:
        outer: object = values.pop("context").find_root().obj
        session = Session(**{name: values.pop(name) for name in _COMMON})
        if isinstance(outer, Session):
            session = session.over(outer)
        _run(function, session, values)

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    run.__signature__ = inspect.Signature([context, *parameters, *common])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (context, *parameters, *common)}
    del run.__wrapped__
    return run


def _run(function: Function, session: Session, values: dict[str, Any]) -> None:
    try:
        result = function(session, **values)
        if inspect.iscoroutine(result):
            import asyncio

            asyncio.run(result)
    except JangbuError as error:
        error.hint = session.readdressed(error.hint)
        raise
