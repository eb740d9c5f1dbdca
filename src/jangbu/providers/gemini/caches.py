"""How long a cache lives: as a request asks for it, and as an answer says it."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jangbu.errors import InvalidInput
from jangbu.providers.gemini.fields import Field

__all__ = ["SECONDS_UNASKED", "seconds_asked", "seconds_left"]

SECONDS_UNASKED = 3600
"""How long Google keeps a cache for which nobody asked for anything else."""

_SECONDS_MOST = 2**31 - 1
_DURATION = re.compile(r"([0-9]{1,12})(?:\.[0-9]{1,9})?s")
_TTL, _END = ("ttl",), ("expiretime",)


def seconds_asked(found: Sequence[Field], now: datetime) -> int | None:
    """Read how long a cache shall live from now on, rounded up; None where the fields of the request do not say.

    Raises InvalidInput for what is neither a duration nor a moment.
    """
    lives = [_duration(value) for path, value in found if path == _TTL and value is not None]
    lives += [_until(value, now) for path, value in found if path == _END and value is not None]
    return max(lives, default=None)


def seconds_left(answer: Mapping[str, Any]) -> int | None:
    """Read how long a cache lives, by the provider's clock alone; None where it does not say."""
    try:
        end = datetime.fromisoformat(str(answer["expireTime"]))
        now = datetime.fromisoformat(str(answer.get("updateTime") or answer["createTime"]))
        return min(max(math.ceil((end - now).total_seconds()), 1), _SECONDS_MOST)
    except (KeyError, ValueError, TypeError):
        return None


def _duration(value: object) -> int:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidInput("the ttl of the cache is no duration", hint='write seconds: "3600s"')
    return int(found.group(1)) + ("." in found.group())


def _until(value: object, now: datetime) -> int:
    try:
        return math.ceil((datetime.fromisoformat(str(value)) - now).total_seconds())
    except (ValueError, TypeError):
        raise InvalidInput(
            "the expireTime of the cache is no moment", hint='write it as "2027-01-31T09:00:00Z"'
        ) from None
