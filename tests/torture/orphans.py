"""No process outlives the one that made it."""

import ctypes
import signal
from contextlib import suppress

__all__ = ["die_with_parent"]

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the system kill this process when the one that made it is gone, in whatever way; Linux does."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
