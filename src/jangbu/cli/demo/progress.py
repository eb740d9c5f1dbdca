"""How far a demo is: a bar on a terminal, else a line now and then, and nothing beside JSON."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jangbu.cli.output import write_message
from jangbu.cli.session import Session

__all__ = ["Told", "progress"]

Told = Callable[[int], None]
"""Told how much is done."""
_PARTS = 4


@contextmanager
def progress(session: Session, what: str, total: int) -> Iterator[Told]:
    """Show how much of ``total`` is done, on standard error."""
    if session.as_json:
        yield lambda _done: None
    elif session.shows_progress:
        with _bar(what, total) as told:
            yield told
    else:
        yield _lines(what, total)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Told]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def _lines(what: str, total: int) -> Told:
    told = 0

    def tell(done: int) -> None:
        nonlocal told
        part = done * _PARTS // total if total else _PARTS
        if part > told:
            told = part
            write_message(f"{what}: {done:,} of {total:,}")

    return tell
