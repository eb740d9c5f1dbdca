"""Searches that an answer was grounded on: they are paid for by the request or by the query, not by the token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jangbu.domain.usage import Units

_NONE = Units()


@dataclass(slots=True)
class Searches:
    """What was searched for over all chunks of one answer; chunks repeat what earlier ones said.

    Google bills unique queries and ignores empty ones, which Gemini 3 does write (ai.google.dev/gemini-api/docs/
    google-search, pricing note). Maps is billed by the grounded request.
    """

    queries: set[str] = field(default_factory=set)
    web: bool = False
    maps: bool = False

    def read(self, metadata: object) -> None:
        """Read one grounding metadata object."""
        if metadata is None or not isinstance(metadata, (dict, Mapping)):
            return
        for name in ("webSearchQueries", "imageSearchQueries"):
            words = metadata.get(name)
            if isinstance(words, list | tuple):
                self.queries.update(word for word in words if isinstance(word, str) and word.strip())
        for chunk in mappings(metadata.get("groundingChunks")):
            self.web = self.web or chunk.get("web") is not None
            self.maps = self.maps or chunk.get("maps") is not None

    def units(self) -> Units:
        """Give the counts: a request is grounded once, however many queries it made."""
        if not (self.queries or self.web or self.maps):
            return _NONE
        return Units(
            grounding_requests=int(self.web or bool(self.queries)),
            grounding_queries=len(self.queries),
            maps_queries=int(self.maps),
        )


def mappings(values: object) -> Sequence[Mapping[str, Any]]:
    """Give the objects of a list; anything else is passed over."""
    if not isinstance(values, (list, tuple)):
        return ()
    return [value for value in values if isinstance(value, (dict, Mapping))]
