"""What lives at the provider and belongs to one user: made, listed, shown and deleted by its owner alone."""

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from jangbu.domain.usage import Source, Units, Usage
from jangbu.errors import InvalidAnswer, InvalidInput, JangbuError, StillRunning
from jangbu.gateway.batch_files import deleted
from jangbu.gateway.bodies import json_object
from jangbu.gateway.counts import CACHE_TOKENS
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.metered import check_model, check_references, service_for
from jangbu.gateway.owning import owned, require_admitted, require_something_left, short_name
from jangbu.gateway.results import json_or_nothing, settle_by_asking
from jangbu.gateway.routes import Action
from jangbu.gateway.upstream import REDIRECT
from jangbu.metering.resources import Owned, ResourceKind
from jangbu.providers.gemini import parse
from jangbu.providers.gemini.batch_request import cache_tokens
from jangbu.providers.gemini.fields import fields
from jangbu.providers.gemini.tool_bound import reads_at_will

__all__ = ["create_cache", "listed", "shown"]

LIST_BYTES_MAX = 32_000_000
NOT_FOUND = 404
_SECONDS_MOST = 2**31 - 1


async def create_cache(exchange: Exchange) -> None:
    """Have the provider keep content; what it stores is recorded, and no tokens are deducted for it."""
    await require_admitted(exchange)
    await require_something_left(exchange)
    body = await exchange.body()
    asked = json_object(body)
    found = fields(asked)
    check_model(exchange, found)
    await check_references(exchange, found)
    if reads_at_will(asked):
        # A call that uses the cache would use its tools, and nothing in that call would tell.
        raise InvalidInput("a cache brings no tools but functions and searches along", hint="name them in each call")
    answer = await exchange.send(body)
    content = await answer.read(LIST_BYTES_MAX)
    if answer.status < REDIRECT and (name := await _kept(exchange, content)) is not None:
        await _record(exchange, asked, name, content)
    await exchange.client.answer(answer.status, content, exchange.answer_headers(answer))


async def shown(exchange: Exchange) -> None:
    """Show, change, cancel or delete what the payer owns. Work is settled by its result before it is deleted."""
    found = await owned(exchange)
    action = exchange.route.action
    body = await exchange.body()
    if action is Action.UPDATE:
        await require_admitted(exchange)
        await require_something_left(exchange)
        await check_references(exchange, fields(json_object(body)))
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
    """List what the payer owns: what is not theirs is left out of the provider's page, which may be short for that."""
    await exchange.body()
    answer = await exchange.send(None)
    content = await answer.read(LIST_BYTES_MAX)
    if answer.status < REDIRECT:
        content = await _own_part(exchange, content)
    await exchange.client.answer(answer.status, content, exchange.answer_headers(answer))


async def _followed(exchange: Exchange, found: Owned, content: bytes, *, is_done: bool) -> None:
    """Do what follows from a change at the provider; what is not there is gone."""
    action = exchange.route.action
    if action is Action.DELETE:
        await exchange.parts.ledger.resources.forget(found.account, found.name)
    elif is_done and action is Action.UPDATE:
        await _kept(exchange, content)
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


async def _kept(exchange: Exchange, content: bytes) -> str | None:
    """Write down whose a cache is, until when, and how many tokens it has; give its name."""
    answer = json_or_nothing(content)
    name = answer.get("name")
    if not isinstance(name, str) or "/" not in name:
        return None
    short, tokens = short_name(name), cache_tokens(answer)
    digest = None if tokens is None else {CACHE_TOKENS: tokens}
    await exchange.parts.ledger.resources.claim(
        exchange.account, short, ResourceKind.CACHE, seconds=_seconds_left(answer), digest=digest
    )
    return short


def _seconds_left(answer: Mapping[str, Any]) -> int | None:
    """Read how long a cache lives, by the provider's clock alone; None where it does not say."""
    try:
        end = datetime.fromisoformat(str(answer["expireTime"]))
        now = datetime.fromisoformat(str(answer.get("updateTime") or answer["createTime"]))
        return min(max(math.ceil((end - now).total_seconds()), 1), _SECONDS_MOST)
    except (KeyError, ValueError, TypeError):
        return None


async def _record(exchange: Exchange, asked: Mapping[str, Any], name: str, content: bytes) -> None:
    try:
        usage = parse(content, surface=exchange.route.surface, platform=exchange.route.platform)
    except InvalidAnswer:
        return
    if not _says_nothing(usage):
        await exchange.parts.ledger.record(
            exchange.payer.user,
            service_for(exchange, asked, usage.model),
            usage,
            call_key=f"{usage.surface}:{name}",
            metadata=exchange.payer.metadata,
        )


async def _own_part(exchange: Exchange, content: bytes) -> bytes:
    page = dict(json_or_nothing(content))
    for field, members in page.items():
        if isinstance(members, list):
            names = [_short(member) for member in members]
            foreign = set(await exchange.parts.ledger.resources.owns_all(exchange.account, [n for n in names if n]))
            page[field] = [
                _without_results(member)
                for member, name in zip(members, names, strict=True)
                if name is not None and name not in foreign
            ]
    return json.dumps(page, ensure_ascii=False).encode("utf-8", "replace")


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


def _says_nothing(usage: Usage) -> bool:
    return usage.source is Source.NONE and usage.units == Units()
