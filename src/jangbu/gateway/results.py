"""Results of work that was started earlier: its hold is settled once, when the result is first seen by anybody."""

import json
from collections.abc import Mapping
from typing import Any

from jangbu.domain.usage import Source
from jangbu.errors import InvalidAnswer, NotFound
from jangbu.gateway.bodies import json_object
from jangbu.gateway.client import own_headers
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.holding import WholeBody
from jangbu.gateway.relay import Relay
from jangbu.gateway.routes import Action
from jangbu.metering.later import release_later, settle_later
from jangbu.metering.resources import Owned, ResourceKind
from jangbu.providers.gemini import StreamMeter, parse

__all__ = ["RESULT_BYTES_MAX", "json_or_nothing", "kind_of", "owned", "result", "settle_by_asking", "short_name"]

RESULT_BYTES_MAX = 64_000_000
_FAILED = frozenset({"failed", "cancelled", "expired"})
_KINDS = {
    "files": ResourceKind.FILE,
    "cachedContents": ResourceKind.CACHE,
    "batches": ResourceKind.BATCH,
    "operations": ResourceKind.OPERATION,
    "interactions": ResourceKind.INTERACTION,
}


def kind_of(name: str) -> ResourceKind:
    """Tell what a resource is by its name (``files/…``)."""
    return _KINDS[name.split("/")[-2]]


def short_name(name: str) -> str:
    """Give the name by which a resource is owned: its kind and its id, an operation's with its model."""
    parts = name.strip("/").split("/")
    return "/".join(parts[-4:] if "operations" in parts and parts[-4:-3] == ["models"] else parts[-2:])


async def owned(exchange: Exchange, name: str | None = None) -> Owned:
    """Give the resource that the path names. Raises NotFound where it is not the payer's."""
    name = name or exchange.route.resource
    assert name is not None, "the route names a resource"
    found = await exchange.parts.ledger.resources.find(exchange.account, name)
    if found is None:
        raise NotFound(f"{name} was not found")
    return found


async def result(exchange: Exchange) -> None:
    """Show how work stands; what its result reports is settled before the client has it whole."""
    body = await exchange.body()
    named = None if exchange.route.resource else str(json_object(body).get("operationName", ""))
    found = await owned(exchange, short_name(named) if named else None)
    if exchange.route.action is Action.DOWNLOAD:
        await _download(exchange, found)
        return
    answer = await exchange.send(body or None)
    content = await answer.read(RESULT_BYTES_MAX)
    if answer.status < 400:
        await _settle(exchange, found, content)
    own = own_headers({"call-id": found.call.id if found.call else None})
    await exchange.client.answer(answer.status, content, [*exchange.answer_headers(answer), *own])


async def settle_by_asking(exchange: Exchange, found: Owned) -> None:
    """Ask for a result once more before it is gone, and settle what it reports."""
    target = f"/{exchange.route.version}/{found.name}"
    answer = await exchange.send(None, target, "GET")
    content = await answer.read(RESULT_BYTES_MAX)
    if answer.status < 400:
        await _settle(exchange, found, content)


async def _download(exchange: Exchange, found: Owned) -> None:
    """Pass a file on as it comes. One that holds the results of a batch is settled before its last bytes pass."""
    parts = exchange.parts
    answer = await exchange.send(None)
    headers = exchange.answer_headers(answer)
    meter = StreamMeter(exchange.route.surface if found.call else None, platform=exchange.route.platform)
    relay = Relay(answer, meter, WholeBody(), parts.drains, seconds=parts.limits.upstream_seconds)
    relayed = await relay.run(exchange.client, exchange.receive, headers, at_once=False)
    if relayed.failure is not None:
        raise relayed.failure
    if found.call is not None and answer.status < 400:
        await settle_later(parts.ledger, found, meter.finish(), ended=True)
    if exchange.client.has_begun:
        await exchange.client.end(relayed.rest)
    else:
        await exchange.client.answer(answer.status, relayed.rest, headers)


async def _settle(exchange: Exchange, found: Owned, content: bytes) -> None:
    """Settle what a result shows; a result that stands in a file belongs to the same user and the same call."""
    ledger = exchange.parts.ledger
    shown = json_or_nothing(content)
    file = _result_file(shown)
    if file is not None:
        await ledger.resources.claim(found.account, file, ResourceKind.FILE, call=found.call)
        return
    try:
        usage = parse(content, surface=exchange.route.surface, platform=exchange.route.platform)
    except InvalidAnswer:
        return
    if _has_failed(shown) and usage.source is Source.NONE:
        await release_later(ledger, found, "the work came to nothing")
    else:
        await settle_later(ledger, found, usage, ended=_is_done(shown))


def json_or_nothing(content: bytes) -> Mapping[str, Any]:
    """Read a JSON object of the provider's; nothing where it is none."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_done(shown: Mapping[str, Any]) -> bool:
    return shown.get("done") is True or shown.get("status") == "completed"


def _has_failed(shown: Mapping[str, Any]) -> bool:
    state = str(shown.get("state") or _inner(shown, "metadata").get("state") or shown.get("status") or "")
    return state.rpartition("_")[2].lower() in _FAILED or (shown.get("done") is True and "error" in shown)


def _result_file(shown: Mapping[str, Any]) -> str | None:
    for holder in (_inner(shown, "response"), _inner(_inner(shown, "metadata"), "output")):
        if isinstance(holder.get("responsesFile"), str):
            return short_name(holder["responsesFile"])
    return None


def _inner(shown: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = shown.get(name)
    return value if isinstance(value, Mapping) else {}
