"""What lives at the provider and belongs to one user: listed, shown, changed and deleted by its owner alone."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from jangbu.errors import JangbuError, StillRunning
from jangbu.gateway.batch_files import deleted
from jangbu.gateway.caches import keep, require_end
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.metered import check_references
from jangbu.gateway.owning import kind_of, owned, require_admitted, require_something_left, short_name
from jangbu.gateway.results import json_or_nothing, settle_by_asking
from jangbu.gateway.routes import Action
from jangbu.gateway.upstream import REDIRECT
from jangbu.metering.resources import Owned, ResourceKind
from jangbu.providers.gemini.fields import fields

__all__ = ["listed", "shown"]

LIST_BYTES_MAX = 32_000_000
PAGES_MOST = 50
"""How many pages are looked through for one that a client asks for, so that nobody has the app's quota used up."""
PAGE_SIZE_MOST = 100
"""The largest page of files that Google gives (ai.google.dev/api/files); where less is the most, it gives less."""
_NEXT = "nextPageToken"
NOT_FOUND = 404


async def shown(exchange: Exchange) -> None:
    """Show, change, cancel or delete what the payer owns. Work is settled by its result before it is deleted."""
    found = await owned(exchange)
    action = exchange.route.action
    body = await exchange.body()
    if action is Action.UPDATE:
        await require_admitted(exchange)
        await require_something_left(exchange)
        changed = fields(await exchange.json(body))
        require_end(exchange, changed)
        await check_references(exchange, changed)
    if action is Action.DELETE and _waits(found):
        await _require_ended(exchange, found)
    if action is Action.DELETE and found.kind is ResourceKind.FILE:
        answer = await deleted(exchange, found)
    else:
        # But for a change, the path says it all, and what a body adds could only contradict it.
        answer = await exchange.send(body if action is Action.UPDATE else None)
    content = await answer.read(LIST_BYTES_MAX)
    if answer.status < REDIRECT or answer.status == NOT_FOUND:
        await _followed(exchange, found, content, is_done=answer.status < REDIRECT)
    await exchange.client.answer(answer.status, content, exchange.answer_headers(answer))


async def listed(exchange: Exchange) -> None:
    """List what the payer owns: what is not theirs is left out of the provider's page, which may be short for that.

    Of pages with nothing of theirs the next one is shown instead: Google's own clients take an empty page before the
    last for a list that is broken.
    """
    await exchange.body()
    token, target = "", exchange.target
    for _ in range(PAGES_MOST):
        answer = await exchange.send(None, target)
        content = await answer.read(LIST_BYTES_MAX)
        if answer.status >= REDIRECT:
            break
        page, names = await _own_part(exchange, json_or_nothing(content))
        content = json.dumps(page, ensure_ascii=False).encode("utf-8", "replace")
        earlier, token = token, page.get(_NEXT) or ""
        if names or not isinstance(token, str) or token in ("", earlier):
            break
        target = _following(exchange, token)
    await exchange.client.answer(answer.status, content, exchange.answer_headers(answer))


def _following(exchange: Exchange, token: str) -> str:
    """Give where the next page is. It may be as large as any where the client does not say otherwise."""
    asked = [each for each in exchange.query.split("&") if each and not each.startswith("pageToken=")]
    if not any(each.startswith("pageSize=") for each in asked):
        asked.append(f"pageSize={PAGE_SIZE_MOST}")
    return f"{exchange.route.target}?{'&'.join(asked)}&pageToken={quote(token, safe='')}"


async def _followed(exchange: Exchange, found: Owned, content: bytes, *, is_done: bool) -> None:
    """Do what follows from a change at the provider; what is not there is gone."""
    action = exchange.route.action
    if action is Action.DELETE:
        await exchange.parts.ledger.resources.forget(found.account, found.name)
    elif is_done and action is Action.UPDATE:
        await keep(exchange, content)
    elif is_done and action is Action.CANCEL and _waits(found):
        # Who cancels seldom asks again. Where the provider does not say yet, the hold stays until somebody asks.
        with suppress(JangbuError):
            await settle_by_asking(exchange.parts.ledger, exchange.parts.upstream, exchange.parts.vertex, found)


async def _require_ended(exchange: Exchange, found: Owned) -> None:
    """Settle work before it is deleted: nothing else tells what it cost. Raises StillRunning where it has not ended."""
    if not await settle_by_asking(exchange.parts.ledger, exchange.parts.upstream, exchange.parts.vertex, found):
        raise StillRunning(f"{found.name[:100]} has not ended", hint="cancel it first, then ask for its result")


def _waits(found: Owned) -> bool:
    return found.call is not None and found.settled_at is None


async def _own_part(exchange: Exchange, shown: Mapping[str, Any]) -> tuple[Mapping[str, Any], Sequence[str]]:
    """Give a page with what the payer owns alone, and the names of that. Where nothing else is theirs, no page follows:
    the next one would have to be looked through for nothing.
    """
    resources = exchange.parts.ledger.resources
    page, own = dict(shown), []
    for field, members in page.items():
        if isinstance(members, list):
            names = [_short(member) for member in members]
            foreign = set(await resources.owns_all(exchange.account, [n for n in names if n]))
            page[field] = [
                _without_results(member)
                for member, name in zip(members, names, strict=True)
                if name is not None and name not in foreign
            ]
            own += [name for name in names if name is not None and name not in foreign]
    if page.get(_NEXT):
        owned_most = await resources.page(exchange.account, kind_of(exchange.route.verb), len(own) + 1)
        if {each.name for each in owned_most} <= set(own):
            del page[_NEXT]
    return page, own


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
