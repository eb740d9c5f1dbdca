"""Whose pages may show a user's own view: said to browsers, which hold pages of all others off."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from starlette.requests import Request

__all__ = ["Origins"]

_PREFLIGHT_SECONDS = 7_200
_ALL = "*"


@dataclass(frozen=True, slots=True)
class Origins:
    """The origins that are allowed; ``*`` among them allows all. No cookies ever count, so that may be meant."""

    allowed: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> Self:
        """Read origins that stand apart by commas."""
        return cls(tuple(origin.lower() for origin in map(str.strip, text.split(",")) if origin))

    def headers(self, request: Request) -> Mapping[str, str]:
        """Give what lets the page that asks read an answer; nothing of that for a page that may not."""
        origin = request.headers.get("origin", "")
        shared = {"vary": "origin", "cross-origin-resource-policy": "cross-origin"}
        if _ALL not in self.allowed and origin.lower() not in self.allowed:
            return shared
        return shared | {
            "access-control-allow-origin": _ALL if _ALL in self.allowed else origin,
            "access-control-expose-headers": "retry-after, x-request-id",
        }

    def preflight(self, request: Request) -> Mapping[str, str]:
        """Give what lets a page ask with a token; a browser asks for this by itself before."""
        return {
            **self.headers(request),
            "access-control-allow-methods": "GET",
            "access-control-allow-headers": "authorization",
            "access-control-max-age": str(_PREFLIGHT_SECONDS),
        }

    @property
    def ancestors(self) -> str:
        """Give whose pages may have the view in a frame, as a policy says it."""
        return " ".join(self.allowed) or "'none'"
