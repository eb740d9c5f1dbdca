"""That no call can be made because its record would have no place on the disk: told when the service starts, once."""

import asyncio
import logging

from jangbu.errors import JangbuError
from jangbu.metering.meter import Metering

__all__ = ["tell_unusable_spool"]

_SECONDS = 5
"""How long the disk is waited for: one that hangs does not keep the API and the dashboard from being served."""

_log = logging.getLogger("jangbu.gateway")


async def tell_unusable_spool(metering: Metering) -> None:
    """Say what is wrong with the spool, and what to do."""
    if metering.spooling is None:
        return
    try:
        async with asyncio.timeout(_SECONDS):
            await metering.spooling.rooms.require()
    except TimeoutError:
        _log.error("no call can be made: the disk of the spool does not answer; see %s", metering.spooling.directory)
    except JangbuError as error:
        _log.error("no call can be made: %s", error)
