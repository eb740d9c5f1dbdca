"""The event loop that serves: uvloop's where it is installed, else Python's own."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

__all__ = ["run"]


SWITCH_SECONDS = 0.0005
"""How long the loop waits for the thread that reads large bodies, each time it has something to do: Python's own 5 ms
would make that the most of an answer's time."""


def run(serving: Coroutine[Any, Any, None]) -> None:
    """Run until it is done."""
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        import uvloop
    except ImportError:
        asyncio.run(serving)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving)
