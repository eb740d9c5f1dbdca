"""Tests of channels from the command line: noted in the ledger like everybody's, and sent also where that is away."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from jangbu.cli.session import Session
from jangbu.errors import AlertUndelivered, JangbuError

if TYPE_CHECKING:
    from jangbu.metering.channels import Channels

__all__ = ["tested"]

Send = Callable[[], Awaitable[AlertUndelivered | None]]


async def tested(session: Session, sends: Mapping[str, Send]) -> tuple[dict[str, AlertUndelivered | None], bool]:
    """Send a test through each channel; give why it did not arrive, None where it did, and whether that was noted.

    Who stands at the machine may test as often as they like, and most of all while the database is away.
    """
    async with AsyncExitStack() as stack:
        channels = await _channels(session, stack)
        if channels is None:
            return {name: await send() for name, send in sends.items()}, False
        results: dict[str, AlertUndelivered | None] = {}
        for name, send in sends.items():
            results[name] = await _noted(channels, name, send)
        return results, True


async def _channels(session: Session, stack: AsyncExitStack) -> "Channels | None":
    """Give the channels as the ledger knows them, or None where it cannot be opened or was never made."""
    from jangbu.metering.channels import Channels
    from jangbu.storage.embedded import default_data_dir
    from jangbu.storage.embedded.places import places_of

    settings = session.settings()
    if settings.database_url is None and not places_of(settings.data_dir or default_data_dir()).home.exists():
        return None
    try:
        ledger = await stack.enter_async_context(session.ledger(adopts=False))
    except JangbuError:
        return None
    return Channels(ledger.database, ledger.clock, project=settings.project)


async def _noted(channels: "Channels", name: str, send: Send) -> AlertUndelivered | None:
    why: AlertUndelivered | None = None

    async def sent() -> AlertUndelivered | None:
        nonlocal why
        why = await send()
        return why

    await channels.test(name, sent, every_seconds=0)
    return why
