"""One request of a client, understood: what every handler of the gateway is given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from jangbu.clock import Clock
from jangbu.domain.flow import ShortBalance
from jangbu.gateway.bodies import Receive, read_body
from jangbu.gateway.client import Client
from jangbu.gateway.credentials import Payer
from jangbu.gateway.headers import forwarded, returned
from jangbu.gateway.relay import Drains
from jangbu.gateway.routes import Route
from jangbu.gateway.upstream import Outgoing, Upstream, UpstreamAnswer
from jangbu.metering.meter import Metering

__all__ = ["Exchange", "Limits", "Parts"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gateway takes and waits for: bytes and seconds."""

    body_bytes: int
    upload_bytes: int
    upstream_seconds: int
    client_seconds: int


@dataclass(frozen=True, slots=True)
class Parts:
    """What all requests share."""

    ledger: Metering
    upstream: Upstream
    clock: Clock
    drains: Drains
    limits: Limits
    short_balance: ShortBalance
    own_url: str | None = None
    """The gateway's own address as clients know it; None where the request's Host tells it."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request whose key was accepted. ``query`` is rebuilt and holds no key; ``headers`` are in lower case."""

    parts: Parts
    method: str
    route: Route
    payer: Payer
    query: str
    headers: Mapping[bytes, bytes] = field(repr=False)
    raw_headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    receive: Receive = field(repr=False)
    client: Client = field(repr=False)
    origin: str = ""
    """The scheme and host under which the client reached the gateway."""

    @property
    def account(self) -> UUID:
        """The account that pays, and owns what is made."""
        return self.parts.ledger.accounts.id_of(self.payer.user)

    @property
    def target(self) -> str:
        """The rebuilt path and query at the provider."""
        return f"{self.route.target}?{self.query}" if self.query else self.route.target

    async def body(self) -> bytes:
        """Read the request's body whole, within bounds."""
        limits = self.parts.limits
        return await read_body(self.receive, self.headers, most=limits.body_bytes, idle_seconds=limits.client_seconds)

    async def send(self, body: bytes | None, target: str | None = None, method: str | None = None) -> UpstreamAnswer:
        """Send the request on with a body, perhaps to another target. Raises UpstreamFailure."""
        outgoing = Outgoing(method or self.method, target or self.target, forwarded(self.raw_headers), body)
        return await self.parts.upstream.send(outgoing)

    def answer_headers(self, answer: UpstreamAnswer) -> list[tuple[bytes, bytes]]:
        """Give the headers of an answer that may come back."""
        return returned(answer.headers)
