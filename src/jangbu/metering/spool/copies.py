"""Copies: records that the database is given at the same time. They wait only where that did not go well."""

import threading
from collections.abc import Iterable

__all__ = ["Copies"]


class Copies:
    """What is known of the copies in one spool. Safe for threads, and touches no disk: the spool notes it later."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: set[int] = set()
        self._settled: list[int] = []
        self._refused: list[int] = []

    def begin(self, copies: Iterable[int]) -> None:
        """Note that nobody knows yet what the database does with copies: they are not pending meanwhile."""
        with self._lock:
            self._under_way.update(copies)

    def settle(self, copies: Iterable[int]) -> None:
        """Tell that the database has copies."""
        with self._lock:
            self._settled.extend(copies)

    def refuse(self, copies: Iterable[int]) -> None:
        """Tell that the database took no record of copies, and that it shall never be given them again."""
        with self._lock:
            self._refused.extend(copies)

    def let_wait(self, copies: Iterable[int]) -> None:
        """Have copies wait like other records, because nobody knows whether the database has them."""
        with self._lock:
            self._under_way.difference_update(copies)

    def told(self) -> tuple[list[int], list[int]]:
        """Give those that were settled and those that were refused since this was asked, to be noted."""
        with self._lock:
            settled, self._settled = self._settled, []
            refused, self._refused = self._refused, []
        return settled, refused

    def end(self, copies: Iterable[int]) -> None:
        """Forget copies, of which it is noted what the database did with them."""
        self.let_wait(copies)

    def under_way(self) -> frozenset[int]:
        """Give those that are not pending."""
        with self._lock:
            return frozenset(self._under_way)
