"""A key's own limits: requests and tokens a minute, and calls at once. They are counted in each process by itself."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from jangbu.domain.keys import Key
from jangbu.errors import LimitReached

__all__ = ["KeyLimits"]

_MINUTE = 60
_KEYS_MAX = 10_000


@dataclass(slots=True)
class _Use:
    """What a key has used: in the minute that began at ``minute``, and at this moment."""

    minute: int = 0
    requests: int = 0
    tokens: int = 0
    under_way: int = 0


class KeyLimits:
    """Counts what the keys with limits use. A key without limits costs nothing here."""

    def __init__(self) -> None:
        self._uses: OrderedDict[UUID, _Use] = OrderedDict()

    @contextmanager
    def admit(self, key: Key) -> Iterator[None]:
        """Let a request in and count it while it runs. Raises LimitReached, with the seconds to wait."""
        if key.requests_per_minute is None and key.tokens_per_minute is None and key.concurrent_calls is None:
            yield
            return
        use, left = self._use(key), _MINUTE - int(time.time()) % _MINUTE
        if key.requests_per_minute is not None and use.requests >= key.requests_per_minute:
            raise LimitReached(f"this key may make {key.requests_per_minute:,} requests a minute", seconds=left)
        if key.tokens_per_minute is not None and use.tokens >= key.tokens_per_minute:
            raise LimitReached(f"this key may use {key.tokens_per_minute:,} tokens a minute", seconds=left)
        if key.concurrent_calls is not None and use.under_way >= key.concurrent_calls:
            raise LimitReached(f"this key may make {key.concurrent_calls:,} calls at once", seconds=1)
        use.requests += 1
        use.under_way += 1
        try:
            yield
        finally:
            use.under_way -= 1

    def used(self, key: Key, tokens: int) -> None:
        """Count the tokens of a call that was settled."""
        if key.tokens_per_minute is not None:
            self._use(key).tokens += tokens

    def _use(self, key: Key) -> _Use:
        use = self._uses.setdefault(key.id, _Use())
        self._uses.move_to_end(key.id)
        while len(self._uses) > _KEYS_MAX and next(iter(self._uses.values())).under_way == 0:
            self._uses.popitem(last=False)
        minute = int(time.time()) // _MINUTE
        if use.minute != minute:
            use.minute, use.requests, use.tokens = minute, 0, 0
        return use
