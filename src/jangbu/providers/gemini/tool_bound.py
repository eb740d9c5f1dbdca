"""What the provider's own tools may feed back into the input of a call while it runs: pages, results, output of code.

No request tells how much that is, and countTokens does not either. A tool that reads what the caller points it to may
feed back as much as the model takes. What a search gives is the provider's own: in 251 recorded answers no search fed
back more than 1,534 tokens, and ten times that is held for.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jangbu.providers.gemini.fields import folded, listed
from jangbu.providers.gemini.limits import input_limit

__all__ = ["INPUT_MOST_UNKNOWN", "fed_back_most", "reads_at_will"]

INPUT_MOST_UNKNOWN = 1_048_576
"""What a model or an agent that is not in the table may take in: the input limit of every current text model."""
SEARCH_MOST = 16_384
"""What all searches of a call are taken to feed back at most."""

_OF_THE_CALLER = frozenset({"function", "functiondeclarations", "computeruse"})
"""The caller runs these, and sends what they give with its next call."""
_SEARCHES = frozenset({"googlesearch", "googlesearchretrieval", "googlemaps", "enterprisewebsearch"})


def fed_back_most(body: Mapping[str, Any], model: str | None) -> int:
    """Bound what the tools of a request feed back. An agent uses tools of its own, whatever its request names.

    A cache may bring tools along: see ``reads_at_will``, which keeps all but searches out of caches.
    """
    if _member(body, "agent") is not None or reads_at_will(body):
        return input_limit(model) or INPUT_MOST_UNKNOWN
    may_search = any(name in _SEARCHES for name in _tools(body)) or _member(body, "cachedcontent") is not None
    return SEARCH_MOST if may_search else 0


def reads_at_will(body: Mapping[str, Any]) -> bool:
    """Tell whether a request names a tool that may feed back as much as the model takes; an unknown one may."""
    return any(name not in _OF_THE_CALLER and name not in _SEARCHES for name in _tools(body))


def _tools(body: Mapping[str, Any]) -> Iterator[str]:
    """Name the tools of a request; a chat may name some among Google's own fields beside OpenAI's."""
    extra = _member(body, "extrabody")
    for holder in (body, _member(body, "google"), extra, _member(extra, "google")):
        for tool in listed(_member(holder, "tools")):
            kind = _member(tool, "type")
            names: Iterable[Any] = [kind] if isinstance(kind, str) else tool if isinstance(tool, Mapping) else [tool]
            yield from (folded(str(name)) for name in names)


def _member(holder: Any, name: str) -> Any:
    """Give a member in whatever spelling."""
    members = holder.items() if isinstance(holder, Mapping) else ()
    return next((member for given, member in members if folded(given) == name and member is not None), None)
