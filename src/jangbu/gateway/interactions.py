"""What is particular to interactions: they are kept under an id that their owner may go on from, and may run on in the
background, with their usage in the answer of a later request.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jangbu import telemetry
from jangbu.domain.flow import Answered, Bounds, Lost, Outcome, Receipt
from jangbu.domain.usage import Anomaly, Source, Surface
from jangbu.errors import JangbuError
from jangbu.gateway.calls import MeteredCall
from jangbu.gateway.counts import asked_tokens
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.owning import owned
from jangbu.gateway.relay import Relayed
from jangbu.gateway.results import settle_by_answer
from jangbu.gateway.resumption import context_of
from jangbu.gateway.upstream import REDIRECT
from jangbu.metering.later import INTERACTION_SECONDS, claim_made
from jangbu.metering.resources import LaterCall, ResourceKind
from jangbu.providers.gemini import request
from jangbu.providers.gemini.continuation import CONTINUATION
from jangbu.providers.gemini.counting import COUNTING_MODEL
from jangbu.providers.gemini.fields import folded
from jangbu.providers.gemini.interactions import RUNNING
from jangbu.providers.gemini.json_values import json_or_nothing
from jangbu.providers.gemini.references import continuation_name

__all__ = ["bounds_of", "finish", "input_tokens", "later_call"]

SHOWN_BYTES_MAX = 32_000_000
_EARLIER, _TOKEN = "previousinteractionid", CONTINUATION


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What an interaction goes on from: another one by its id, its unfinished decode by a token, both or neither."""

    interaction: str | None
    token: str | None


async def bounds_of(exchange: Exchange, asked: Mapping[str, Any], model: str) -> Bounds:
    """Bound an interaction. One that goes on from another has that one's whole context as input, which is at most what
    the earlier one used in all; a context that nobody recorded here is asked for.
    """
    alone, earlier = _parted(asked)
    found = await exchange.walked(request.bounds, exchange.route.verb, alone, model)
    if found.input_most is None:
        return found
    context = await _context(exchange, earlier)
    return replace(found, input_most=None if context is None else found.input_most + context)


async def input_tokens(exchange: Exchange, asked: Mapping[str, Any], model: str) -> int | None:
    """Have the input of an interaction counted, with the context that it goes on from; None where nobody can tell."""
    alone, earlier = _parted(asked)
    count = await asked_tokens(exchange, alone, model if "model" in asked else COUNTING_MODEL)
    if count is None:
        return None
    context = await _context(exchange, earlier)
    return None if context is None else count + context


def _parted(asked: Mapping[str, Any]) -> tuple[Mapping[str, Any], _Earlier]:
    """Part a request from what it goes on from."""
    alone = {name: value for name, value in asked.items() if folded(name) not in (_EARLIER, _TOKEN)}
    earlier = {folded(name): value for name, value in asked.items() if name not in alone}
    interaction, token = (value if isinstance(value, str) else "" for value in map(earlier.get, (_EARLIER, _TOKEN)))
    return alone, _Earlier(interaction.rpartition("/")[2] or None, token or None)


async def _context(exchange: Exchange, earlier: _Earlier) -> int | None:
    """Give the most tokens of what was said before; what a token goes on with is the interaction beside it."""
    decoded = 0 if earlier.token is None else await context_of(exchange, continuation_name(earlier.token))
    said = 0 if earlier.interaction is None else await _said_in(exchange, earlier.interaction)
    return None if said is None else max(decoded, said)


async def _said_in(exchange: Exchange, earlier: str) -> int | None:
    """Give the most tokens of an earlier interaction's context. A run that nobody asked for is settled by it."""
    recorded = await exchange.parts.ledger.tokens_of(exchange.payer.user, earlier)
    if recorded is not None:
        return recorded
    found = await owned(exchange, f"interactions/{earlier}")
    answer = await exchange.send(None, f"/{exchange.route.version}/{found.name}", "GET")
    content = await answer.read(SHOWN_BYTES_MAX)
    if answer.status >= REDIRECT:
        return None
    usage = await settle_by_answer(exchange.parts.ledger, found, content)
    return None if usage.source is Source.NONE else usage.total_tokens


async def finish(exchange: Exchange, call: MeteredCall, outcome: Outcome, relayed: Relayed) -> Receipt | None:
    """End a call by its outcome. An interaction that runs on, or whose stream broke off before it reported anything,
    keeps its hold; its id is written down for its owner, and whoever asks for it settles it.
    """
    if exchange.route.surface is not Surface.INTERACTIONS:
        return await call.finish(outcome)
    shown = json_or_nothing(relayed.rest)
    named = shown.get("id") or relayed.answer_id
    if not isinstance(named, str):
        return await call.finish(outcome)
    name = f"interactions/{named}"
    if _runs_on(outcome, shown):
        resources, holds = exchange.parts.ledger.resources, exchange.parts.ledger.holds
        waiting = later_call(exchange, call)
        await resources.claim(
            exchange.account, name, ResourceKind.INTERACTION, call=waiting, seconds=INTERACTION_SECONDS
        )
        if isinstance(outcome, Lost):
            await call.finish(outcome)
        else:
            await holds.extend(exchange.account, call.call.id)
            call.hand_over()
        return None
    receipt = await call.finish(outcome)
    await _claim(exchange, call, name, shown)
    return receipt


def later_call(exchange: Exchange, metered: MeteredCall) -> LaterCall:
    """Give what has to be remembered of a call whose usage comes with a later answer."""
    call, key = metered.call, exchange.payer.key
    counted = None if key.tokens_per_minute is None else key.id
    return LaterCall(call.id, call.service, call.model, call.metadata, counted)


def _runs_on(outcome: Outcome, shown: Mapping[str, Any]) -> bool:
    """Tell whether what an interaction used is still to come. Its stream may end before the work does."""
    if isinstance(outcome, Lost):
        return True
    if not isinstance(outcome, Answered) or outcome.usage.source is not Source.NONE:
        return False
    return shown.get("status") in RUNNING if shown else Anomaly.USAGE_MISSING not in outcome.usage.anomalies


async def _claim(exchange: Exchange, call: MeteredCall, name: str, shown: Mapping[str, Any]) -> None:
    """Write down what an answer leaves behind: the interaction, its files, the environment that it ran in."""
    names = [name]
    if isinstance(shown.get("environment_id"), str):
        names.append(f"environments/{shown['environment_id']}")
    try:
        for each in names:
            await exchange.parts.ledger.resources.claim(
                exchange.account, each, ResourceKind.INTERACTION, seconds=INTERACTION_SECONDS
            )
        await claim_made(exchange.parts.ledger, exchange.account, shown)
    except JangbuError as error:
        # The answer is paid for and on its way; all that its user loses is to go on from it.
        telemetry.warn("gateway.unclaimed", str(error), call_id=str(call.call.id))
