"""How much a user has left, in a word: enough, little, or nothing."""

from enum import StrEnum

from jangbu.domain.forecast import Lasting

__all__ = ["LATELY_DAYS", "Standing", "standing"]

LATELY_DAYS = 7
"""How many days of use tell how fast a balance goes."""
_LASTS_DAYS = 3


class Standing(StrEnum):
    """Whether a user should buy more."""

    OK = "ok"
    LOW = "low"
    EMPTY = "empty"


def standing(available: int, lasts: Lasting | None, low_balance: int | None = None) -> Standing:
    """Give the standing of who has so many tokens left, which last for so long; None for who uses none.

    ``low_balance`` is from where on the app calls a balance low; None for what will be used up, or have expired, within
    three days.
    """
    if available <= 0:
        return Standing.EMPTY
    if low_balance is not None:
        return Standing.LOW if available <= low_balance else Standing.OK
    return Standing.LOW if lasts is not None and lasts.days < _LASTS_DAYS else Standing.OK
