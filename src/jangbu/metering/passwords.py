"""Passwords, hashed and compared beside the loop: one at a time, and so many waiting.

Each costs 48 MB and 50 ms of a processor on purpose, as OWASP advises for argon2id. Whoever sends thousands at once has
one core to themselves and no more memory; the calls that are metered meanwhile have the rest.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from jangbu.domain.passwords import BYTES_MAX, LENGTH_LEAST, Weakness, spelled, weakness
from jangbu.errors import JangbuError, LimitReached, PasswordRefused

if TYPE_CHECKING:
    from argon2 import PasswordHasher

__all__ = ["Passwords"]

Result = TypeVar("Result")

_MEMORY_KIB = 47_104
_ROUNDS = 1
_LANES = 1
_WAITING_MAX = 16
_RETRY_SECONDS = 2
_WORDS = {
    Weakness.UNREADABLE: ("the password holds a character that cannot be typed", "use letters, digits, signs, blanks"),
    Weakness.TOO_SHORT: ("the password is too short", f"use {LENGTH_LEAST} characters or more"),
    Weakness.TOO_LONG: ("the password is too long", f"use {BYTES_MAX:,} bytes at most"),
    Weakness.COMMON: (
        "the password is too easily guessed",
        "common words, your name, runs like 1234 and repetitions count as one character each; use a few words more",
    ),
}


class Passwords:
    """Hashes passwords and compares them. Belongs to one event loop."""

    def __init__(self, *, memory_kib: int = _MEMORY_KIB) -> None:
        self._memory_kib = memory_kib
        self._pool: ThreadPoolExecutor | None = None
        self._hasher: PasswordHasher | None = None
        self._nobodys: str | None = None
        self._under_way = 0

    def require_good(self, password: str, name: str) -> None:
        """Refuse a password that a member may not choose. Raises PasswordRefused."""
        found = weakness(password, name)
        if found is not None:
            message, hint = _WORDS[found]
            raise PasswordRefused(message, weakness=found, hint=hint)

    def require_room(self) -> None:
        """Refuse more than can be looked at soon. Raises LimitReached."""
        if self._under_way >= _WAITING_MAX:
            raise LimitReached("too many people sign in at this moment", seconds=_RETRY_SECONDS, hint="try again")

    async def hashed(self, password: str) -> str:
        """Give the digest of a password, with its salt and its costs. Raises LimitReached."""
        return await self._aside(lambda hasher: hasher.hash(spelled(password)))

    async def matches(self, password: str, digest: str | None) -> bool:
        """Tell whether a password is the one of a digest; where there is none it is not, which takes just as long.

        Raises LimitReached.
        """
        text = spelled(password)
        if len(text.encode("utf-8", "surrogatepass")) > BYTES_MAX:
            return False

        def compare(hasher: "PasswordHasher") -> bool:
            from argon2.exceptions import Argon2Error, InvalidHashError

            if self._nobodys is None:
                self._nobodys = hasher.hash("nobody's")
            try:
                return hasher.verify(digest or self._nobodys, text.encode("utf-8", "surrogatepass"))
            except (Argon2Error, InvalidHashError):
                return False

        return await self._aside(compare) and digest is not None

    def is_outdated(self, digest: str) -> bool:
        """Tell whether a digest was made at other costs than are usual now, after a password matched it."""
        return self._hasher is not None and self._hasher.check_needs_rehash(digest)

    def close(self) -> None:
        """Stop; what waits is not done any more."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def _aside(self, work: "Callable[[PasswordHasher], Result]") -> Result:
        """Work in the thread. What was begun there ends there, also when nobody waits for it any more, and counts
        until then: who hangs up in the midst makes no room.
        """
        self.require_room()
        if self._pool is None or self._hasher is None:
            self._hasher = _hasher(self._memory_kib)
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="jangbu-passwords")
        loop = asyncio.get_running_loop()

        def ended(_future: Future[Result]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._end)

        self._under_way += 1
        future = self._pool.submit(work, self._hasher)
        future.add_done_callback(ended)
        return await asyncio.wrap_future(future)

    def _end(self) -> None:
        self._under_way -= 1


def _hasher(memory_kib: int) -> "PasswordHasher":
    try:
        from argon2 import PasswordHasher
    except ImportError:
        raise JangbuError(
            "the dashboard's parts are not installed", hint="run `pip install 'jangbu[gateway]'`"
        ) from None
    return PasswordHasher(time_cost=_ROUNDS, memory_cost=memory_kib, parallelism=_LANES)
