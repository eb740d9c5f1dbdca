"""Lists of what lives at the provider: it shows everybody's, of which the payer is given what is theirs.

No page is empty while others follow, and none follows that is empty: Google's own clients take such a page for a list
that is broken (``IndexError`` in google-genai, an ``undefined`` among the members in @google/genai).
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from jangbu.gateway.exchange import Exchange
from jangbu.gateway.resources import LIST_BYTES_MAX
from jangbu.gateway.upstream import REDIRECT, UpstreamAnswer, UpstreamFailure
from jangbu.metering.owned import kind_of, short_name
from jangbu.metering.resources import ResourceKind
from jangbu.providers.gemini.json_values import json_or_nothing

__all__ = ["PAGES_MOST", "listed"]

PAGES_MOST = 50
"""How many pages are looked through for one that a client asks for, so that nobody has the app's quota used up."""
SECONDS_MOST = 20
"""For how long pages are looked through: what leads on from the last one is given then."""
PAGE_SIZES = {ResourceKind.FILE: 100, ResourceKind.CACHE: 100}
"""How large a page is asked for where a client does not say: the most for files (ai.google.dev/api/files). Each page of
a list is to be asked for as the first one was, and one of batches may bring all their results.
"""
_NEXT = "nextPageToken"


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of the provider's, what of it is the payer's, by which names, and what leads on from it."""

    answer: UpstreamAnswer
    content: bytes
    own: Mapping[str, Any]
    names: Sequence[str]
    next: str

    @property
    def is_error(self) -> bool:
        """Whether the provider did not give the list."""
        return self.answer.status >= REDIRECT


async def listed(exchange: Exchange) -> None:
    """List what the payer owns. A page may be short, for what is not theirs is left out."""
    await exchange.body()
    until = time.monotonic() + SECONDS_MOST
    page = await _page(exchange, _target(exchange))
    token = await _leading_on(exchange, page)
    for _ in range(PAGES_MOST - 1):
        if not token or time.monotonic() > until:
            break
        try:
            following = await _page(exchange, _target(exchange, token))
        except UpstreamFailure:
            if not page.names:
                raise
            # What is there already is shown; whoever goes on from it asks once more.
            break
        if following.names or following.is_error:
            if page.names:
                break
            page, token = following, await _leading_on(exchange, following)
        elif following.next == token:
            break
        else:
            token = following.next
    content = page.content if page.is_error else _written(page, token)
    await exchange.client.answer(page.answer.status, content, exchange.answer_headers(page.answer))


async def _page(exchange: Exchange, target: str) -> _Page:
    """Ask for a page, and leave out of it what is not the payer's."""
    answer = await exchange.send(None, target)
    content = await answer.read(LIST_BYTES_MAX)
    if answer.status >= REDIRECT:
        return _Page(answer, content, {}, (), "")
    own, names = dict(json_or_nothing(content)), list[str]()
    for field, members in own.items():
        if isinstance(members, list):
            own[field] = kept = await _own(exchange, members)
            names += [name for name in map(_short, kept) if name is not None]
    token = own.pop(_NEXT, "")
    return _Page(answer, content, own, names, token if isinstance(token, str) else "")


async def _own(exchange: Exchange, members: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
    names = [_short(member) for member in members]
    foreign = set(
        await exchange.parts.ledger.resources.owns_all(exchange.account, [name for name in names if name is not None])
    )
    return [
        _without_results(member)
        for member, name in zip(members, names, strict=True)
        if name is not None and name not in foreign
    ]


async def _leading_on(exchange: Exchange, page: _Page) -> str:
    """Give what leads on from a page; nothing where it has all that the payer owns: no other is looked through then."""
    if not page.next:
        return ""
    kind, most = kind_of(exchange.route.verb), len(page.names) + 1
    owned = await exchange.parts.ledger.resources.page(exchange.account, kind, most)
    return "" if {each.name for each in owned} <= set(page.names) else page.next


def _target(exchange: Exchange, token: str | None = None) -> str:
    """Give where a page is: the one that the client asks for, or the one to which a token leads on."""
    asked = [each for each in exchange.query.split("&") if each]
    size = PAGE_SIZES.get(kind_of(exchange.route.verb))
    if size is not None and not any(each.startswith("pageSize=") for each in asked):
        asked.append(f"pageSize={size}")
    if token is not None:
        asked = [each for each in asked if not each.startswith("pageToken=")]
        asked.append(f"pageToken={quote(token, safe='')}")
    return f"{exchange.route.target}?{'&'.join(asked)}" if asked else exchange.route.target


def _written(page: _Page, token: str) -> bytes:
    """Write a page, with where those go on of which there are any."""
    shown = {**page.own, _NEXT: token} if token else page.own
    return json.dumps(shown, ensure_ascii=False).encode("utf-8", "replace")


def _without_results(member: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave the results of work out of a list: they are settled where each is asked for by its name."""
    metadata = member.get("metadata")
    kept = {name: value for name, value in member.items() if name != "response"}
    if isinstance(metadata, Mapping) and "output" in metadata:
        kept["metadata"] = {name: value for name, value in metadata.items() if name != "output"}
    return kept


def _short(member: Any) -> str | None:
    name = member.get("name") if isinstance(member, Mapping) else None
    return short_name(name) if isinstance(name, str) else None
