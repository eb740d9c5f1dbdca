"""What lives at the provider and belongs to one user: shown, changed and deleted by its owner alone."""

from contextlib import suppress

from jangbu.errors import JangbuError, StillRunning
from jangbu.gateway.batch_files import deleted
from jangbu.gateway.caches import require_end
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.metered import check_references
from jangbu.gateway.owning import owned, require_admitted, require_something_left
from jangbu.gateway.results import Shows, is_gone, settle_by_asking
from jangbu.gateway.routes import Action
from jangbu.gateway.upstream import REDIRECT
from jangbu.metering.later import lose_later
from jangbu.metering.resources import Owned, ResourceKind
from jangbu.providers.gemini.fields import fields
from jangbu.providers.gemini.json_values import json_or_nothing

__all__ = ["shown"]

LIST_BYTES_MAX = 32_000_000


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
    if action is Action.DELETE and found.is_owed:
        await _require_ended(exchange, found)
    if action is Action.DELETE and found.kind is ResourceKind.FILE:
        answer, content = await deleted(exchange, found)
    else:
        # But for a change, the path says it all, and what a body adds could only contradict it.
        answer = await exchange.send(body if action is Action.UPDATE else None)
        content = await answer.read(LIST_BYTES_MAX)
    if answer.status < REDIRECT or is_gone(found, answer.status, content):
        await _followed(exchange, found, content, is_done=answer.status < REDIRECT)
    await exchange.client.answer(answer.status, content, exchange.answer_headers(answer))


async def _followed(exchange: Exchange, found: Owned, content: bytes, *, is_done: bool) -> None:
    """Do what follows from a change at the provider; what is not there is gone."""
    action = exchange.route.action
    resources = exchange.parts.ledger.resources
    if found.kind is ResourceKind.CACHE and (action is Action.DELETE or not is_done):
        await resources.end_cache(found.account, found.name)
    elif action is Action.DELETE:
        await resources.forget(found.account, found.name)
    elif is_done and action is Action.UPDATE:
        await resources.change_cache(found.account, found.name, json_or_nothing(content))
    elif is_done and action is Action.CANCEL and found.is_owed:
        # Who cancels seldom asks again. Where the provider does not say yet, the hold stays until somebody asks.
        with suppress(JangbuError):
            await settle_by_asking(exchange.parts.ledger, exchange.parts.upstream, exchange.parts.vertex, found)


async def _require_ended(exchange: Exchange, found: Owned) -> None:
    """Settle work before it is deleted: nothing else tells what it cost. Raises StillRunning where it has not ended."""
    match await settle_by_asking(exchange.parts.ledger, exchange.parts.upstream, exchange.parts.vertex, found):
        case Shows.RUNNING:
            raise StillRunning(f"{found.name[:100]} has not ended", hint="cancel it first, then ask for its result")
        case Shows.NOTHING:
            await lose_later(exchange.parts.ledger, found, "the provider has the work no more")
