"""Room for one record in the spool, which is counted and no more."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["Reservation"]


class Reservation:
    """Room for one record, until it is given back. Also a context."""

    __slots__ = ("_ends",)

    def __init__(self, ends: Callable[[], None]) -> None:
        self._ends: Callable[[], None] | None = ends

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Give the room back. Safe to call again."""
        ends, self._ends = self._ends, None
        if ends is not None:
            ends()
