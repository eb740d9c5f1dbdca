"""How the service is asked to end: once, and it ends in order; twice, and it ends at once."""

import asyncio
import os
import signal
import time
from collections.abc import Callable

from jangbu.cli.exits import ExitCode

__all__ = ["Stopping"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopping:
    """Ctrl-C, SIGTERM and SIGHUP, from ``begin`` until ``end``."""

    def __init__(self, at_once: Callable[[], None] = lambda: None) -> None:
        """``at_once`` is called before the process ends without order."""
        self._at_once = at_once
        self._stop: Callable[[], None] = lambda: None
        self._asked_at: float | None = None

    @property
    def is_asked(self) -> bool:
        """Whether the service has been asked to end."""
        return self._asked_at is not None

    def begin(self, stop: Callable[[], None]) -> None:
        """Have ``stop`` called when the service is asked to end."""
        self._stop = stop
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.ask)

    def end(self) -> None:
        """Leave the signals to their defaults."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    def ask(self) -> None:
        """Ask for the end, as a signal does."""
        if self.is_asked:
            self._at_once()
            # No exit handler and no open connection is waited for: whoever asks twice does not want to wait.
            os._exit(ExitCode.INTERRUPTED)
        self._asked_at = time.monotonic()
        self._stop()

    def seconds_left(self, of: int) -> int:
        """Give how many whole seconds are left of those since the service was asked to end."""
        passed = 0 if self._asked_at is None else time.monotonic() - self._asked_at
        return max(0, int(of - passed))
