"""What is particular to interactions: they are kept under an id that their owner may go on from, and may run on in the
background, with their usage in the answer of a later request.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jangbu import telemetry
from jangbu.domain.flow import Answered, Bounds, Outcome, Receipt
from jangbu.domain.usage import Source, Surface
from jangbu.errors import JangbuError
from jangbu.gateway.calls import MeteredCall
from jangbu.gateway.exchange import Exchange
from jangbu.metering.resources import LaterCall, ResourceKind
from jangbu.providers.gemini import parse, request

__all__ = ["LATER_SECONDS", "bounds_of", "finish", "later_call"]

LATER_SECONDS = 48 * 3600
"""How long the hold of work that runs on stays open: Google gives a batch 24 hours."""
SHOWN_BYTES_MAX = 32_000_000
_RUNNING = frozenset({"in_progress", "queued"})


async def bounds_of(exchange: Exchange, asked: Mapping[str, Any], model: str) -> Bounds:
    """Bound an interaction. One that goes on from another has that one's whole context as input, which is at most what
    the earlier one used in all; a context that nobody recorded here is asked for.
    """
    earlier = asked.get("previous_interaction_id")
    found = request.bounds(exchange.route.verb, {**asked, "previous_interaction_id": None}, model)
    if not isinstance(earlier, str) or found.input_most is None:
        return found if earlier is None else request.bounds(exchange.route.verb, asked, model)
    context = await exchange.parts.ledger.tokens_of(exchange.payer.user, earlier.rpartition("/")[2])
    if context is None:
        context = await _context_shown(exchange, earlier)
    return replace(found, input_most=None if context is None else found.input_most + context)


async def _context_shown(exchange: Exchange, earlier: str) -> int | None:
    target = f"/{exchange.route.version}/interactions/{earlier.rpartition('/')[2]}"
    answer = await exchange.send(None, target, "GET")
    content = await answer.read(SHOWN_BYTES_MAX)
    if answer.status >= 400:
        return None
    usage = parse(content, surface=Surface.INTERACTIONS)
    return None if usage.source is Source.NONE else usage.total_tokens


async def finish(exchange: Exchange, call: MeteredCall, outcome: Outcome, body: bytes) -> Receipt | None:
    """End a call by its outcome. An interaction that runs on keeps its hold; its id is written down for its owner."""
    if exchange.route.surface is not Surface.INTERACTIONS or not isinstance(outcome, Answered):
        return await call.finish(outcome)
    resources = exchange.parts.ledger.resources
    usage = outcome.usage
    shown = _object(body)
    if usage.source is Source.NONE and shown.get("status") in _RUNNING and shown.get("id"):
        name = f"interactions/{shown['id']}"
        await resources.claim(exchange.account, name, ResourceKind.INTERACTION, call=later_call(call))
        await exchange.parts.ledger.holds.extend(exchange.account, call.call.id, LATER_SECONDS)
        return None
    receipt = await call.finish(outcome)
    kept = usage.response_id or shown.get("id")
    if kept:
        try:
            await resources.claim(exchange.account, f"interactions/{kept}", ResourceKind.INTERACTION)
        except JangbuError as error:
            # The answer is paid for and on its way; all that its user loses is to go on from it.
            telemetry.warn("gateway.unclaimed", str(error), call_id=str(call.call.id))
    return receipt


def later_call(call: MeteredCall) -> LaterCall:
    """Give what has to be remembered of a call whose usage comes with a later answer."""
    return LaterCall(call.call.id, call.call.service, call.call.model, call.call.metadata)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
