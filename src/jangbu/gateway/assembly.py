"""From settings to a gateway that works."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jangbu.config import Settings
from jangbu.domain.flow import ShortBalance
from jangbu.errors import InvalidSettings
from jangbu.gateway.access_tokens import AccessTokens
from jangbu.gateway.allowed import Allowed
from jangbu.gateway.app import Gateway
from jangbu.gateway.aside import Aside
from jangbu.gateway.bodies import BodyRoom
from jangbu.gateway.drains import Drains
from jangbu.gateway.exchange import Limits, Parts
from jangbu.gateway.poller import Poller
from jangbu.gateway.upstream import Upstream
from jangbu.gateway.upstream_keys import UpstreamKeys, read_keys
from jangbu.gateway.vertex import Vertex
from jangbu.metering.meter import Metering

__all__ = ["open_gateway"]


@asynccontextmanager
async def open_gateway(settings: Settings, ledger: Metering) -> AsyncIterator[Gateway]:
    """Make the gateway over a ledger that its caller opens and closes. Leaving the context ends its calls in order."""
    async with Upstream(
        settings.upstream_url,
        _keys(settings),
        idle_seconds=settings.upstream_idle_seconds_max,
        begin_seconds=settings.upstream_seconds_max,
    ) as upstream:
        aside = Aside()
        vertex = _vertex(settings, upstream)
        parts = Parts(
            ledger=ledger,
            upstream=upstream,
            clock=ledger.clock,
            drains=Drains(settings.drains_max, settings.drain_seconds_max),
            limits=_limits(settings),
            aside=aside,
            room=BodyRoom(settings.bodies_bytes_max, settings.body_bytes_max),
            short_balance=ShortBalance(settings.short_balance),
            allowed=Allowed.read(settings.allowed_storage, settings.allowed_resources),
            unit_priced_models=settings.unit_priced_models,
            vertex=vertex,
            own_url=settings.public_url,
        )
        gateway = Gateway(parts, prefix=settings.path_prefix, top_up_url=settings.top_up_url)
        poller = Poller(ledger, upstream, vertex)
        if upstream.keys.secrets or vertex is not None:
            poller.start()
        try:
            yield gateway
        finally:
            await poller.stop()
            await gateway.close(settings.stop_seconds_max)
            aside.close()
            if vertex is not None:
                await vertex.close()


def _limits(settings: Settings) -> Limits:
    return Limits(
        body_bytes=settings.body_bytes_max,
        upload_bytes=settings.upload_bytes_max,
        kept_files=settings.kept_files_max,
        kept_bytes=settings.kept_bytes_max,
        kept_caches=settings.kept_caches_max,
        kept_cache_tokens=settings.kept_cache_tokens_max,
        cache_seconds=settings.cache_seconds_max,
        upstream_seconds=settings.upstream_seconds_max,
        client_seconds=settings.client_seconds_max,
        live_seconds=settings.live_seconds_max,
        live_idle_seconds=settings.live_idle_seconds_max,
        live_message_bytes=settings.live_message_bytes_max,
    )


def _keys(settings: Settings) -> UpstreamKeys:
    if settings.upstream_keys is not None:
        return read_keys(settings.upstream_keys.get_secret_value())
    if settings.gemini_api_key is not None:
        return read_keys(settings.gemini_api_key.get_secret_value())
    return UpstreamKeys(())


def _vertex(settings: Settings, upstream: Upstream) -> Vertex | None:
    if settings.vertex_project is None:
        if settings.vertex_credentials is not None:
            raise InvalidSettings("vertex_credentials opens no project", hint="set vertex_project too")
        return None
    return Vertex(
        upstream,
        AccessTokens(settings.vertex_credentials),
        project=settings.vertex_project,
        locations=[location.strip() for location in settings.vertex_locations.split(",")],
        url=settings.vertex_url,
    )
