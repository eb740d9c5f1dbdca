"""Tables: numbers to the right, wide (Korean) text in its true width, plain where nobody looks at a terminal."""

import io
import sys
from collections.abc import Iterable, Sequence

from jangbu.cli.output import one_line

__all__ = ["pairs", "table"]

_PLAIN_WIDTH = 100_000
"""Wide enough that nothing is cut or wrapped where the reader is a program."""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str = "nothing to show") -> str:
    """Lay out rows under their columns. A column whose name ends in ``>`` holds numbers and is set to the right."""
    lines = [tuple(one_line(cell) for cell in row) for row in rows]
    if not lines:
        return empty
    from rich.table import Table
    from rich.text import Text

    laid_out = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        laid_out.add_column(
            column.removesuffix(">"), justify="right" if column.endswith(">") else "left", overflow="fold"
        )
    for line in lines:
        laid_out.add_row(*(Text(cell) for cell in line))
    return _rendered(laid_out)


def pairs(facts: Iterable[tuple[str, str]]) -> str:
    """Lay out names and their values, one to a line."""
    from rich.table import Table
    from rich.text import Text

    laid_out = Table(box=None, pad_edge=False, show_header=False)
    laid_out.add_column("name", style="bold", no_wrap=True)
    laid_out.add_column("value", overflow="fold")
    for name, value in facts:
        laid_out.add_row(Text(name), Text(one_line(value)))
    return _rendered(laid_out)


def _rendered(what: object) -> str:
    """Render for the terminal that standard output is, or plainly where it is none; rich knows NO_COLOR by itself."""
    from rich.console import Console

    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    page = io.StringIO()
    console = Console(
        file=page,
        force_terminal=is_terminal,
        width=None if is_terminal else _PLAIN_WIDTH,
        markup=False,
        highlight=False,
        emoji=False,
    )
    console.print(what)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines())
