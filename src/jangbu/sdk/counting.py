"""countTokens, asked through the client's own transport: it is free and is not recorded."""

import copy
import json
from collections.abc import Mapping
from typing import Any

from jangbu.domain.flow import Answered, Outcome
from jangbu.providers.gemini import counting
from jangbu.providers.gemini.continuation import without_continuation
from jangbu.sdk.routes import Route
from jangbu.telemetry import warn

__all__ = ["TokenCount", "needs_count", "read_count"]


class TokenCount:
    """The countTokens request that goes with a request, or None in ``request`` where there is none."""

    def __init__(self, route: Route, http_request: Any) -> None:
        self.request: Any = None
        self._route = route
        given: Mapping[str, Any] = http_request.data if isinstance(http_request.data, dict) else {}
        self._asked = without_continuation(given)
        body = counting.count_body(route.surface, route.platform, route.model, self._asked)
        if body is not None:
            self.request = copy.copy(http_request)
            self.request.url = http_request.url.rpartition(":")[0] + ":countTokens"
            self.request.data = body

    def tokens(self, count: Mapping[str, Any] | None) -> int | None:
        """Give the most tokens that the input has, by the provider's answer; None where nothing tells."""
        return counting.input_counted(count, self._route.platform, self._route.model, self._asked, None)

    def warn(self, error: Exception) -> None:
        """Say that the provider did not count; what depends on the count is then decided without it."""
        warn("sdk.count_failed", f"countTokens did not answer: {error!r}", error=error)


def read_count(answer: str) -> Mapping[str, Any]:
    """Read the answer of countTokens."""
    found: Mapping[str, Any] = json.loads(answer)
    return found


def needs_count(outcome: Outcome, count: TokenCount) -> bool:
    """Tell whether an answer reports nothing and countTokens stands in (gemini-embedding-001)."""
    return isinstance(outcome, Answered) and count.request is not None and counting.needs_count(outcome.usage)
