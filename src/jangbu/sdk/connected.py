"""A meter without a connection to the database: it records through the API of a server."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from jangbu.domain.flow import Receipt
from jangbu.errors import NotOffered
from jangbu.providers.gemini import parse_object
from jangbu.sdk.attribution import checked_service
from jangbu.sdk.background import Background
from jangbu.sdk.meter import Meter
from jangbu.sdk.remote import RemoteLedger
from jangbu.sdk.wire import Wire

__all__ = ["ConnectedMeter"]

_ANSWER_SECONDS = 30
"""How long an answer of the server may take."""


class ConnectedMeter(Meter):
    """Records answers, grants and shows balances over the API, by the methods of a meter. It wraps no client.

    Made by ``Meter.connect``.
    """

    def __init__(self, url: str, key: str, *, patience_seconds: int) -> None:
        ledger = RemoteLedger(Wire(url, seconds=_ANSWER_SECONDS), key, patience_seconds=patience_seconds)

        @asynccontextmanager
        async def opened() -> AsyncIterator[RemoteLedger]:
            try:
                yield ledger
            finally:
                await ledger.close()

        # It does all that a meter asks of a ledger but for what only a wrapped client needs.
        background: Background[Any] = Background(opened)
        super().__init__(background)

    def wrap(self, client: Any) -> NoReturn:
        """Refuse: a call is held for before it is made, which the API does not do. Raises NotOffered."""
        del client
        raise NotOffered(
            "a connected meter wraps no client: it cannot hold tokens before a call",
            hint="use Meter.open, or let the client call the gateway",
        )

    def _recording(
        self, user: str, service: str, model: str, response: object, metadata: Mapping[str, Any] | None
    ) -> Callable[[Any], Coroutine[Any, Any, Receipt]]:
        usage, named = parse_object(response, model=model), checked_service(service)
        return lambda ledger: ledger.record(user, named, model, response, usage, metadata)
