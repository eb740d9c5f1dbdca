"""How long a balance lasts, if it goes on as it did lately. All of it is whole numbers, so nothing drifts."""

from collections.abc import Sequence

__all__ = ["days_left"]


def days_left(available: int, used: Sequence[int]) -> int | None:
    """Give for how many whole days so many tokens last, by what was used on each of the last days; None if nothing was.

    A day that has not ended does not belong in ``used``: it would count as one on which little was used.
    """
    in_all = sum(used)
    if in_all <= 0:
        return None
    return max(available, 0) * len(used) // in_all
