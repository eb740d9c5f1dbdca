"""Memory that goes back to the system when it is no longer used."""

import asyncio
import ctypes
from contextlib import suppress

__all__ = ["give_back_free_pages", "give_back_large_blocks"]

_MMAP_THRESHOLD = -3
"""glibc's name of the option, from malloc.h."""
_LARGE_BYTES = 64 * 1024
"""With a quarter of it nothing is left behind either, but 2 MB answers took a third more time of a processor."""
_SECONDS = 2


def give_back_large_blocks() -> None:
    """Have each large block of memory stand alone, so that it goes back as soon as it is free.

    Left to itself, glibc keeps what it was once asked for and cuts it up: of the 54 MB that 64 answers of 2 MB took
    while they were under way a gateway kept all. Other C libraries are left as they are.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)


async def give_back_free_pages() -> None:
    """Give back now and then what lies free between smaller blocks that are in use, until cancelled.

    A busy machine reads answers in pieces of every size: of 64 answers of 2 MB up to 16 MB stayed so. It takes 0.1 ms
    where there is nothing to give back, and about 1 ms for 10 MB.
    """
    with suppress(OSError, AttributeError):
        trim = ctypes.CDLL(None).malloc_trim
        while True:
            await asyncio.sleep(_SECONDS)
            trim(0)
