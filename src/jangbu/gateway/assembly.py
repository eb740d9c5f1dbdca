"""From settings to a gateway that works."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jangbu.config import Settings
from jangbu.domain.flow import ShortBalance
from jangbu.gateway.app import Gateway
from jangbu.gateway.exchange import Limits, Parts
from jangbu.gateway.relay import Drains
from jangbu.gateway.upstream import Upstream
from jangbu.gateway.upstream_keys import UpstreamKeys, read_keys
from jangbu.metering.meter import Metering

__all__ = ["open_gateway"]


@asynccontextmanager
async def open_gateway(settings: Settings, ledger: Metering) -> AsyncIterator[Gateway]:
    """Make the gateway over a ledger that its caller opens and closes. Leaving the context ends its calls in order."""
    limits = Limits(
        body_bytes=settings.body_bytes_max,
        upload_bytes=settings.upload_bytes_max,
        upstream_seconds=settings.upstream_seconds_max,
        client_seconds=settings.client_seconds_max,
    )
    upstream = Upstream(settings.upstream_url, _keys(settings), idle_seconds=settings.upstream_idle_seconds_max)
    parts = Parts(
        ledger=ledger,
        upstream=upstream,
        clock=ledger.clock,
        drains=Drains(settings.drains_max, settings.drain_seconds_max),
        limits=limits,
        short_balance=ShortBalance(settings.short_balance),
        own_url=settings.public_url,
    )
    gateway = Gateway(parts, prefix=settings.path_prefix, top_up_url=settings.top_up_url)
    try:
        yield gateway
    finally:
        await gateway.close(settings.stop_seconds_max)
        await upstream.close()


def _keys(settings: Settings) -> UpstreamKeys:
    if settings.upstream_keys is not None:
        return read_keys(settings.upstream_keys.get_secret_value())
    if settings.gemini_api_key is not None:
        return read_keys(settings.gemini_api_key.get_secret_value())
    return UpstreamKeys(())
