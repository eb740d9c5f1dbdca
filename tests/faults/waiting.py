"""Waiting for what another process brings about."""

import asyncio
from collections.abc import Callable
from typing import Any

SECONDS = 60


async def become(is_true: Callable[[], Any]) -> None:
    """Wait until an asynchronous question is answered with yes."""
    async with asyncio.timeout(SECONDS):
        while not await is_true():  # noqa: ASYNC110 - what changes lies in another process
            await asyncio.sleep(0.02)
