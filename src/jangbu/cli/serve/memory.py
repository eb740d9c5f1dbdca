"""Memory that goes back to the system when it is no longer used."""

import ctypes
from contextlib import suppress

__all__ = ["give_back_large_blocks"]

_MMAP_THRESHOLD = -3
"""glibc's name of the option, from malloc.h."""
_LARGE_BYTES = 64 * 1024


def give_back_large_blocks() -> None:
    """Have each large block of memory stand alone, so that it goes back as soon as it is free.

    Left to itself, glibc keeps what it was once asked for and cuts it up: of the 54 MB that 64 answers of 2 MB took
    while they were under way a gateway kept all, and gives all but half a MB back so. Other C libraries are left as
    they are.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
