"""The ledger that a demo works on: one of its own that is gone afterwards, unless another is named."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from jangbu.cli.session import Session
from jangbu.config import Settings

__all__ = ["DemoLedger", "ends_in_order", "open_ledger"]

PROJECT = "demo"
_TERMINATED = 143


@dataclass(frozen=True, slots=True)
class DemoLedger:
    """Where the demo writes. ``is_temporary`` tells that it is gone afterwards."""

    settings: Settings
    is_temporary: bool

    def facts(self) -> dict[str, Any]:
        """Give what a report tells of it; an address is not repeated, because it may hold a password."""
        if self.is_temporary:
            where = "embedded, temporary"
        elif self.settings.database_url is not None:
            where = "the given database"
        else:
            where = f"embedded in {self.settings.data_dir}"
        return {"where": where, "project": self.settings.project, "is_temporary": self.is_temporary}


@contextmanager
def open_ledger(session: Session) -> Iterator[DemoLedger]:
    """Give the ledger that the settings name, else a temporary one, stopped and removed however the demo ends."""
    settings = session.settings()
    if settings.origins()["project"] == "default" and session.project is None:
        settings = settings.model_copy(update={"project": PROJECT})
    if settings.database_url is not None or settings.data_dir is not None:
        yield DemoLedger(settings, is_temporary=False)
        return
    from jangbu.storage.embedded import EmbeddedServer, stop

    directory = Path(tempfile.mkdtemp(prefix="jangbu-demo-"))
    try:
        # It is used from here on, so that it does not stop between one part of the demo and the next.
        with EmbeddedServer(directory):
            yield DemoLedger(settings.model_copy(update={"data_dir": directory}), is_temporary=True)
    finally:
        with _undisturbed():
            stop(directory)
            shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def ends_in_order() -> Iterator[None]:
    """Let SIGTERM end the demo as Ctrl-C does: what was started is stopped and removed."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let nobody interrupt the removal, which takes a moment."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(_TERMINATED)
