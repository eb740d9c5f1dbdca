"""What the provider's own tools may feed back into the input of a call while it runs: pages, results, output of code.

No request tells how much that is, and countTokens does not either. A tool that reads what the caller points it to may
feed back as much as the model takes, and so may an environment in which code runs, and a film that the model goes
through at will instead of being shown it once (``environment`` and ``mediaProcessing`` in google-genai 3.4.0). What a
search gives is the provider's own: in 251 recorded answers no search fed back more than 1,534 tokens, and ten times
that is held for.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from jangbu.providers.gemini.fields import folded, listed
from jangbu.providers.gemini.input_bound import input_scan
from jangbu.providers.gemini.limits import largest_input

__all__ = ["fed_back_most", "reads_at_will"]

SEARCH_MOST = 16_384
"""What all searches of a call are taken to feed back at most."""

_OF_THE_CALLER = frozenset({"function", "functiondeclarations", "computeruse"})
"""The caller runs these, and sends what they give with its next call."""
_SEARCHES = frozenset({"googlesearch", "googlesearchretrieval", "googlemaps", "enterprisewebsearch"})


def fed_back_most(body: Mapping[str, Any], model: str | None, *, is_gone_through: bool = False) -> int:
    """Bound what the tools of a request feed back. An agent, and a model in an environment, use tools of their own,
    whatever the request names. ``is_gone_through`` tells whether the model goes through media of the request at will.

    A cache may bring tools along: see ``reads_at_will``, which keeps all but searches out of caches.
    """
    given = _members(body)
    tools = _tools(given)
    if is_gone_through or "agent" in given or "environment" in given or _reads_at_will(tools):
        return largest_input(model)
    return SEARCH_MOST if "cachedcontent" in given or not _SEARCHES.isdisjoint(tools) else 0


def reads_at_will(body: Mapping[str, Any]) -> bool:
    """Tell whether a request names what may feed back as much as the model takes; an unknown tool may."""
    return input_scan(body).is_gone_through or _reads_at_will(_tools(_members(body)))


def _reads_at_will(tools: Iterable[str]) -> bool:
    return any(name not in _OF_THE_CALLER and name not in _SEARCHES for name in tools)


def _tools(given: Mapping[str, Any]) -> list[str]:
    """Name the tools of a request's members; a chat may name some among Google's own fields beside OpenAI's."""
    holders = [given]
    if "google" in given:
        holders.append(_members(given["google"]))
    if "extrabody" in given:
        extra = _members(given["extrabody"])
        holders += (extra, _members(extra.get("google")))
    return [name for holder in holders for tool in listed(holder.get("tools")) for name in _names(tool)]


def _names(tool: Any) -> list[str]:
    """Name what one tool is, or the several that it holds."""
    members = _members(tool)
    if isinstance(kind := members.get("type"), str):
        return [folded(kind)]
    return [folded(str(name)) for name in (tool if isinstance(tool, Mapping) else [tool])]


def _members(holder: Any) -> dict[str, Any]:
    """Give the members of an object by their names in one spelling, but for null; the first of two spellings counts."""
    if not isinstance(holder, (dict, Mapping)):
        return {}
    members: dict[str, Any] = {}
    for name, member in holder.items():
        if member is not None:
            members.setdefault(folded(name), member)
    return members
