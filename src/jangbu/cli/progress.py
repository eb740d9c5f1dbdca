"""A bar on the terminal for what takes its time, and nothing where nobody watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jangbu.cli.session import Session

__all__ = ["Progress", "progress"]

Progress = Callable[[str, int, int], None]
"""Told the name of a step, how much of it is done, and how much it has; 0 where nobody knows."""


@contextmanager
def progress(session: Session) -> Iterator[Progress | None]:
    """Draw a bar on the terminal of standard error, or nothing."""
    if not session.shows_progress:
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(file=sys.stderr), transient=True) as bar:
        tasks: dict[str, int] = {}

        def tell(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total or None)
            bar.update(tasks[step], completed=done, total=total or None)  # type: ignore[arg-type]

        yield tell
