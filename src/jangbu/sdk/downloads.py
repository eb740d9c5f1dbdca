"""The result files of batches: settled when they are downloaded, once.

A file is known for one by its lines. Its payer is whoever started the batch, where the ledger knows that; else whoever
downloads it, for whom it is recorded. Everything else that is downloaded passes untouched.
"""

import functools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jangbu.domain.flow import Receipt
from jangbu.domain.usage import Source, Surface, Usage
from jangbu.providers.gemini import StreamMeter, parse
from jangbu.providers.gemini.surfaces import surface_of
from jangbu.sdk import attribution
from jangbu.sdk.begun import settled
from jangbu.sdk.hook import Hook, metadata_of
from jangbu.sdk.later import Work, recorded
from jangbu.telemetry import warn

if TYPE_CHECKING:
    from jangbu.metering.meter import Metering

__all__ = ["instrument_downloads"]


def instrument_downloads(api_client: Any, hook: Hook) -> None:
    """Put the meter into the downloads of one client object."""
    api_client.download_file = _metered(api_client.download_file, hook)
    api_client.async_download_file = _async_metered(api_client.async_download_file, hook)


def _metered(download: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    @functools.wraps(download)
    def download_file(path: str, **options: Any) -> Any:
        data = download(path, **options)
        if (work := _work(hook, path, _content(data, options))) is not None:
            hook.background.wait(work)
        return data

    return download_file


def _async_metered(download: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    @functools.wraps(download)
    async def download_file(path: str, **options: Any) -> Any:
        data = await download(path, **options)
        if (work := _work(hook, path, _content(data, options))) is not None:
            await hook.background.wait_async(work)
        return data

    return download_file


def _content(data: Any, options: Mapping[str, Any]) -> bytes:
    """Give what was downloaded, from where the client was told to write it."""
    target = options.get("destination")
    if isinstance(target, str | os.PathLike):
        return Path(target).read_bytes()
    return data if isinstance(data, bytes) else b""


def _work(hook: Hook, path: str, content: bytes) -> Work | None:
    """Give what there is to record of a download, or None."""
    name = path.partition(":")[0]
    if name in hook.recorded or not _holds_results(content):
        return None
    payer = hook.started.get(name) or attribution.current()

    async def record(metering: "Metering") -> Receipt | None:
        if await settled(hook, metering, name, lambda model: _read(content, model), {}):
            return None
        if payer.user is None:
            warn("sdk.unmetered", f"the results in {name} were downloaded for nobody and are not recorded", file=name)
            return None
        service, usage = payer.service or "text_generation", parse(content, surface=Surface.BATCH)
        key = f"{Surface.BATCH}:{name}"
        recording = metering.record(payer.user, service, usage, call_key=key, metadata=metadata_of(payer))
        return await recorded(hook, name, recording)

    return record


def _read(content: bytes, model: str) -> tuple[Usage, bool]:
    """Read what a file reports, and whether there is nothing but errors in it."""
    meter = StreamMeter(Surface.BATCH, model=model)
    meter.feed(content)
    usage = meter.finish()
    return usage, meter.error_seen and usage.source is Source.NONE


def _holds_results(content: bytes) -> bool:
    """Tell a result file by its first line; anything large that is no JSON is not read on."""
    if not content.startswith(b"{"):
        return False
    try:
        first = json.loads(content.partition(b"\n")[0])
    except ValueError:
        return False
    return isinstance(first, dict) and surface_of(first) is Surface.BATCH
