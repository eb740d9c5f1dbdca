"""What lives at the provider and belongs to one user: made, listed, shown and deleted by its owner alone."""

import json
from collections.abc import Mapping
from typing import Any

from jangbu.domain.usage import Source, Units, Usage
from jangbu.gateway.bodies import json_object
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.metered import check_references, service_for
from jangbu.gateway.results import owned, settle_by_asking, short_name
from jangbu.gateway.routes import Action
from jangbu.metering.resources import ResourceKind
from jangbu.providers.gemini import parse

__all__ = ["create_cache", "listed", "shown"]

LIST_BYTES_MAX = 32_000_000


async def create_cache(exchange: Exchange) -> None:
    """Have the provider keep content; what it stores is recorded, and no tokens are deducted for it."""
    body = await exchange.body()
    asked = json_object(body)
    await check_references(exchange, asked)
    answer = await exchange.send(body)
    content = await answer.read(LIST_BYTES_MAX)
    if answer.status < 400 and (name := _name_in(content)) is not None:
        ledger = exchange.parts.ledger
        await ledger.resources.claim(exchange.account, name, ResourceKind.CACHE)
        usage = parse(content, surface=exchange.route.surface, platform=exchange.route.platform)
        if not _says_nothing(usage):
            await ledger.record(
                exchange.payer.user,
                service_for(exchange, asked, usage.model),
                usage,
                call_key=f"{usage.surface}:{name}",
                metadata=exchange.payer.metadata,
            )
    await exchange.client.answer(answer.status, content, exchange.answer_headers(answer))


async def shown(exchange: Exchange) -> None:
    """Show, change, cancel or delete what the payer owns. Work is settled by its result before it is deleted."""
    found = await owned(exchange)
    body = await exchange.body()
    deletes = exchange.route.action is Action.DELETE
    if deletes and found.call is not None and found.settled_at is None:
        await settle_by_asking(exchange, found)
    answer = await exchange.send(body or None)
    content = await answer.read(LIST_BYTES_MAX)
    if deletes and (answer.status < 400 or answer.status == 404):
        await exchange.parts.ledger.resources.forget(found.account, found.name)
    await exchange.client.answer(answer.status, content, exchange.answer_headers(answer))


async def listed(exchange: Exchange) -> None:
    """List what the payer owns: what is not theirs is left out of the provider's page, which may be short for that."""
    answer = await exchange.send(await exchange.body())
    content = await answer.read(LIST_BYTES_MAX)
    if answer.status < 400:
        content = await _own_part(exchange, content)
    await exchange.client.answer(answer.status, content, exchange.answer_headers(answer))


async def _own_part(exchange: Exchange, content: bytes) -> bytes:
    page = json.loads(content)
    if not isinstance(page, dict):
        return b"{}"
    for field, members in page.items():
        if isinstance(members, list):
            names = [_short(member) for member in members]
            foreign = set(await exchange.parts.ledger.resources.owns_all(exchange.account, [n for n in names if n]))
            page[field] = [
                _without_results(member)
                for member, name in zip(members, names, strict=True)
                if name is not None and name not in foreign
            ]
    return json.dumps(page, ensure_ascii=False).encode()


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


def _name_in(content: bytes) -> str | None:
    shown = json.loads(content)
    name = shown.get("name") if isinstance(shown, Mapping) else None
    return short_name(name) if isinstance(name, str) and "/" in name else None


def _says_nothing(usage: Usage) -> bool:
    return usage.source is Source.NONE and usage.units == Units()
