"""The event loop that serves: uvloop's where it is installed, else Python's own."""

import asyncio
from collections.abc import Coroutine
from typing import Any

__all__ = ["run"]


def run(serving: Coroutine[Any, Any, None]) -> None:
    """Run until it is done."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(serving)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving)
