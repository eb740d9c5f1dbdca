"""One request of a client, understood: what every handler of the gateway is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from jangbu.clock import Clock
from jangbu.domain.flow import ShortBalance
from jangbu.domain.usage import Platform
from jangbu.gateway.allowed import Allowed
from jangbu.gateway.aside import Aside
from jangbu.gateway.bodies import (
    LARGE_BYTES,
    BodyRoom,
    Lease,
    Receive,
    decoded_size,
    json_bytes,
    json_object,
    read_body,
)
from jangbu.gateway.client import Client
from jangbu.gateway.credentials import Payer
from jangbu.gateway.drains import Drains
from jangbu.gateway.headers import forwarded, forwarded_with_upload, returned
from jangbu.gateway.routes import Billing, Route
from jangbu.gateway.upstream import Outgoing, Upstream, UpstreamAnswer
from jangbu.gateway.upstream_sockets import Opened
from jangbu.gateway.vertex import Vertex
from jangbu.metering.admission import require_able_to_pay, require_unblocked
from jangbu.metering.meter import Metering

__all__ = ["Exchange", "Limits", "Parts"]

Result = TypeVar("Result")

_UNPAID = frozenset({Billing.FREE, Billing.RESULT})


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gateway takes and waits for: bytes and seconds."""

    body_bytes: int
    upload_bytes: int
    kept_files: int
    kept_bytes: int
    kept_caches: int
    kept_cache_tokens: int
    cache_seconds: int
    upstream_seconds: int
    client_seconds: int
    live_seconds: int
    live_idle_seconds: int
    live_message_bytes: int


@dataclass(frozen=True, slots=True)
class Parts:
    """What all requests share."""

    ledger: Metering
    upstream: Upstream
    clock: Clock
    drains: Drains
    limits: Limits
    room: BodyRoom
    aside: Aside
    """Where what is done with a large body is done."""
    short_balance: ShortBalance
    allowed: Allowed
    """What of the app's own a body may name."""
    unit_priced_models: bool
    """Whether models are offered that are paid for by the piece or the second, and for which no tokens are deducted."""
    vertex: Vertex | None = None
    """The app's project at Vertex AI; None where it is not offered."""
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
    lease: Lease = field(repr=False)
    """The room for the request's body."""
    origin: Callable[[], str] = field(default=lambda: "", repr=False)
    """Gives the scheme and host under which the client reached the gateway; hardly any call needs them."""
    spent: Callable[[int], None] = field(default=lambda _tokens: None, repr=False)
    """Counts charged tokens against the limits of the key."""
    named: list[str] = field(default_factory=list, repr=False)
    """What the body names that lives at the provider, filled in when it is checked whose that is."""

    @property
    def account(self) -> UUID:
        """The account that pays, and owns what is made."""
        return self.parts.ledger.accounts.id_of(self.payer.user)

    @property
    def target(self) -> str:
        """The rebuilt path and query at the provider."""
        return f"{self.route.target}?{self.query}" if self.query else self.route.target

    @property
    def is_at_home(self) -> bool:
        """Whether the request makes, shows or uses what lives at the provider, in the project of the home key."""
        return self.route.is_of_kept or self.route.billing is Billing.STARTED or bool(self.named)

    async def body(self) -> bytes:
        """Read the request's body whole, within bounds; a large one only for who could pay for it."""
        limits = self.parts.limits
        return await read_body(
            self.receive,
            self.headers,
            self.lease,
            most=limits.body_bytes,
            idle_seconds=limits.client_seconds,
            admit=self._admit,
        )

    async def json(self, body: bytes) -> dict[str, Any]:
        """Read a JSON object out of the body, and keep room for it. Raises InvalidInput or LimitReached."""
        self.lease.grow(decoded_size(body))
        return await self.walked(json_object, body)

    async def written(self, value: Any) -> bytes:
        """Write the JSON of a request, which may be as large as the body."""
        return await self.walked(partial(json_bytes, is_large=self._is_large), value)

    async def walked(self, walk: Callable[..., Result], *given: Any) -> Result:
        """Do what walks through the body: a large one beside the loop, so that other calls go on meanwhile."""
        if not self._is_large:
            return walk(*given)
        return await self.parts.aside.run(walk, *given)

    @property
    def _is_large(self) -> bool:
        return self.lease.size > LARGE_BYTES

    async def _admit(self) -> None:
        require = require_unblocked if self.route.billing in _UNPAID else require_able_to_pay
        await require(self.parts.ledger, self.payer.user)

    async def send(
        self,
        body: bytes | None,
        target: str | None = None,
        method: str | None = None,
        *,
        leaving: Callable[[], None] = lambda: None,
        refused: Callable[[], None] = lambda: None,
        mark: str | None = None,
    ) -> UpstreamAnswer:
        """Send the request on with a body, perhaps to another target; ``leaving`` is told when it leaves, ``refused``
        when that came to nothing, and ``mark`` tells the key that began what it goes on with.

        Raises UpstreamFailure.
        """
        if self.route.verb == "upload":
            headers = forwarded_with_upload(self.raw_headers)
        else:
            headers = forwarded(self.raw_headers, has_json=body is not None)
        outgoing = Outgoing(method or self.method, target or self.target, headers, body, leaving, refused)
        if self.route.platform is Platform.VERTEX:
            assert self.parts.vertex is not None, "the route was placed in a project"
            return await self.parts.vertex.send(outgoing, self.route.location)
        return await self.parts.upstream.send(outgoing, at_home=self.is_at_home, mark=mark)

    async def connect(self, first: str | bytes, *, can_resume: bool) -> Opened:
        """Open a session by its ``first`` message; it may be one that can be resumed. Raises UpstreamFailure."""
        headers, most = forwarded(self.raw_headers), self.parts.limits.live_message_bytes
        if self.route.platform is Platform.VERTEX:
            assert self.parts.vertex is not None, "the route was placed in a project"
            return await self.parts.vertex.connect(self.target, self.route.location, headers, first, message_bytes=most)
        at_home = can_resume or self.is_at_home
        return await self.parts.upstream.connect(self.target, headers, first, message_bytes=most, at_home=at_home)

    def answer_headers(self, answer: UpstreamAnswer) -> list[tuple[bytes, bytes]]:
        """Give the headers of an answer that may come back."""
        return returned(answer.headers)
