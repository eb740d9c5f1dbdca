"""Tokens with which a decode is gone on with that stopped before its end.

An interaction bears one as ``continuation_token``, a candidate of generateContent as ``continuationToken``, and the
next request shows it under the same name. google-genai 3.4.0 sends it by itself (``_extra_utils.py`` and
``_interactions_continuation.py``).
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

from jangbu.providers.gemini.fields import folded

__all__ = ["CONTINUATION", "Continuations", "without_continuation"]

CONTINUATION = "continuationtoken"
"""The field that holds a token, without underscores and capitals."""
_KNOWN_MOST = 8
"""How many tokens of one answer are known: a client goes on from the latest."""


class Continuations:
    """The latest tokens that an answer showed."""

    def __init__(self) -> None:
        self._shown: deque[str] = deque(maxlen=_KNOWN_MOST)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens as they were shown, each once."""
        return tuple(dict.fromkeys(self._shown))

    def read(self, token: object) -> None:
        """Take what stands where a token may stand."""
        if isinstance(token, str) and token:
            self._shown.append(token)


def without_continuation(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a request as it would begin anew."""
    return {name: value for name, value in body.items() if folded(name) != CONTINUATION}
