"""The keys with which the gateway calls the provider: several with weights, of which one that is tired rests.

Each key belongs to a project of the provider's, and what lives there is seen with keys of that project only. So the
first key is the home of all that is made to stay: nothing has to be remembered about which key made what. But any key
may begin an answer that stops short; a mark of that key is written down with the token that goes on with it.
"""

import hashlib
import random
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from jangbu.errors import InvalidSettings

__all__ = ["UpstreamKey", "UpstreamKeys", "read_keys"]

_SECRET = re.compile(r"[!-~]+")
_WEIGHT_DIGITS = 4
_MARK_DIGITS = 16

REST_SECONDS = 20
"""How long a key rests after a 429 that names no time."""
REST_SECONDS_MAX = 300
"""How long a key rests at most, and as long one that Google refuses: only the operator can mend that."""


@dataclass(frozen=True, slots=True)
class UpstreamKey:
    """A key and its share of the calls. The secret is in no text that is made of it."""

    secret: str
    weight: int = 1

    @property
    def mark(self) -> str:
        """What tells the key from the others, and does not tell the secret."""
        return _mark(self.secret)

    def __repr__(self) -> str:
        return f"UpstreamKey(****, weight={self.weight})"


class UpstreamKeys:
    """Chooses the key of each call by weight; a key that answered 429 comes last until it has rested."""

    def __init__(self, keys: Iterable[UpstreamKey]) -> None:
        self._keys = tuple(keys)
        self._rested: dict[str, float] = {}

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secrets, for whoever keeps them out of logs."""
        return tuple(key.secret for key in self._keys)

    def number(self, key: UpstreamKey) -> int:
        """Tell which of the keys one is, counted from 1 as they were written."""
        return self._keys.index(key) + 1

    def in_order(self, *, at_home: bool = False, mark: str | None = None) -> list[UpstreamKey]:
        """Give the keys in the order in which to try them for one call. One that is bound to the home has no other, nor
        has one that goes on with what the key of a mark began.
        """
        marked = [] if mark is None else [key for key in self._keys if key.mark == mark]
        if marked:
            return marked
        if at_home:
            return list(self._keys[:1])
        if len(self._keys) < 2:
            return list(self._keys)
        now = time.monotonic()
        # A key's place is drawn with its weight: the largest of random ** (1 / weight) comes first.
        drawn = sorted(self._keys, key=lambda key: random.random() ** (1 / key.weight), reverse=True)  # noqa: S311
        return sorted(drawn, key=lambda key: self._rested.get(key.secret, 0) > now)

    def rest(self, key: UpstreamKey, seconds: int | None) -> int:
        """Let a key rest that answered 429, or that was refused; give for how many seconds it does."""
        wait = REST_SECONDS if seconds is None else min(seconds, REST_SECONDS_MAX)
        self._rested[key.secret] = time.monotonic() + wait
        return wait


@lru_cache(maxsize=64)
def _mark(secret: str) -> str:
    """Give the same mark for each of many calls."""
    return hashlib.sha256(secret.encode()).hexdigest()[:_MARK_DIGITS]


def read_keys(text: str) -> UpstreamKeys:
    """Read ``KEY``, or ``KEY=3,KEY=1`` with weights. Raises InvalidSettings, which repeats no secret."""
    keys = []
    for number, part in enumerate(text.split(","), 1):
        secret, sign, weight = part.strip().rpartition("=") if "=" in part else (part.strip(), "", "1")
        if not weight.isdecimal() or len(weight) > _WEIGHT_DIGITS or not 1 <= int(weight) <= 1000:
            raise InvalidSettings(
                f"upstream key {number} is not of the form KEY or KEY=WEIGHT", hint="weights are 1 to 1000"
            )
        if _SECRET.fullmatch(secret) is None:
            raise InvalidSettings(
                f"upstream key {number} is empty, or holds blanks or characters that no header can carry",
                hint="GEMINI_API_KEY or JANGBU_UPSTREAM_KEYS sets it, perhaps with a line's end too much",
            )
        del sign
        keys.append(UpstreamKey(secret, int(weight)))
    return UpstreamKeys(keys)
