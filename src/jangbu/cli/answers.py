"""Answers of a provider in files: read, never repaired."""

from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.values import file_bytes, utf_8
from jangbu.errors import InvalidInput

if TYPE_CHECKING:
    from jangbu.domain.usage import Surface, Usage

__all__ = ["ModelName", "SurfaceName", "answer_usage", "surface_named"]

SurfaceName = Annotated[
    str | None,
    typer.Option("--surface", metavar="S", help="Where the answer came from, if it does not show.", show_default=False),
]
ModelName = Annotated[
    str | None,
    typer.Option("--model", metavar="M", help="The model, where the answer names none.", show_default=False),
]


def answer_usage(file: str, surface: str | None = None, model: str | None = None) -> "Usage":
    """Read the usage of the answer in a file. Raises InvalidInput or InvalidAnswer, which name the file."""
    expected = surface_named(surface)
    body = utf_8(file_bytes(file))
    from jangbu.errors import InvalidAnswer
    from jangbu.providers.gemini import parse

    try:
        return parse(body, surface=expected, model=model)
    except InvalidAnswer as error:
        name = "standard input" if file == "-" else file
        raise InvalidAnswer(f"{name}: {error.message}", hint=error.hint) from None


def surface_named(name: str | None) -> "Surface | None":
    """Give the surface of a name. Raises InvalidInput that lists the names."""
    from jangbu.domain.usage import Surface

    if name is None:
        return None
    try:
        return Surface(name.lower().replace("-", "_"))
    except ValueError:
        raise InvalidInput(f"{name[:40]!r} is no surface", hint=f"one of {', '.join(Surface)}") from None
