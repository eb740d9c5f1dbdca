"""Whether the database is away, as whoever asked it last found out: who cannot be helped without it hears soon."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from jangbu.errors import DatabaseUnreachable
from jangbu.metering.retry import repeated
from jangbu.storage.failures import is_unreachable, translated

__all__ = ["Absence"]

Result = TypeVar("Result")


class Absence:
    """How long the database has been away. Belongs to one event loop.

    A call waits for it for ``seconds``, as long as a restart may take; once it has been away for as long, none waits.
    Somebody has to ask it meanwhile and tell when it answers: ``asks`` is called when it is away. Where nobody does,
    nothing is noted.
    """

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        """How long a call waits."""
        self._since: float | None = None
        self.asks: Callable[[], None] | None = None

    @property
    def is_noted(self) -> bool:
        """Tell whether the database did not answer when it was last asked."""
        return self._since is not None

    def begin(self, since: float | None = None) -> None:
        """Note that the database does not answer, and since when by the loop's clock."""
        if self.asks is None:
            return
        if self._since is None:
            self._since = _now() if since is None else since
        self.asks()

    def end(self) -> None:
        """Note that the database answers."""
        self._since = None

    def note(self, error: Exception, *, since: float | None = None) -> None:
        """Note what an error says: whether the database was not reached, and not that others went first."""
        if is_unreachable(error):
            self.begin(since)

    async def outlasted(self, what: str, ask: Callable[[], Awaitable[Result]]) -> Result:
        """Ask the database something that a call waits for, again and again as long as the call may wait.

        Raises DatabaseUnreachable, without asking where it has been away for longer.
        """
        seconds, began_at = self.patience(), _now()
        try:
            with translated():
                return await repeated(what, ask, seconds=seconds)
        except DatabaseUnreachable as error:
            self.note(error, since=began_at)
            raise

    def require_patience(self) -> None:
        """Raise DatabaseUnreachable where no call would be waited for."""
        self.patience()

    def patience(self) -> float:
        """Give the seconds that a call may wait for the database from now on. Raises DatabaseUnreachable: none."""
        if self._since is None:
            return self.seconds
        left = self._since + self.seconds - _now()
        if left <= 0:
            raise DatabaseUnreachable(
                f"PostgreSQL has not answered for {_now() - self._since:.0f} s, or takes no writes",
                hint="`jangbu doctor` says why",
            )
        return left


def _now() -> float:
    return asyncio.get_running_loop().time()
