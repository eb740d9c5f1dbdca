"""Files that the provider says there are once an upload has ended, and whose they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jangbu.gateway.batch_files import PassingFile
from jangbu.gateway.exchange import Exchange
from jangbu.metering.later import FILE_SECONDS
from jangbu.metering.meter import Metering
from jangbu.metering.owned import short_name
from jangbu.metering.resources import Owned, ResourceKind
from jangbu.providers.gemini.files import file_bytes
from jangbu.providers.gemini.json_values import json_or_nothing

__all__ = ["FileMade", "claim_made_file", "claim_once", "file_made"]


@dataclass(frozen=True, slots=True)
class FileMade:
    """A file that the provider says there is: its name, its bytes, and what was read of its lines, as a batch's."""

    name: str
    size: int
    digest: Mapping[str, Any] | None


def file_made(content: bytes, passed: PassingFile | None, size: int) -> FileMade | None:
    """Read what the provider says of a file; None where it says of none."""
    shown = json_or_nothing(content)
    file = shown.get("file", shown)
    name = file.get("name") if isinstance(file, dict) else None
    if not isinstance(name, str):
        return None
    digest = None if passed is None or passed.lines is None else passed.lines.stored()
    return FileMade(short_name(name), file_bytes(file, size), digest)


async def claim_once(ledger: Metering, upload: Owned, made: FileMade | None) -> None:
    """Write down whose the file of an upload is, the first time that it shows. Whoever asks again how the upload ended
    may have deleted the file meanwhile, and its name, which users may choose, is anybody's.
    """
    is_news = made is not None and await ledger.resources.finish_upload(
        upload, made.name, seconds=FILE_SECONDS, digest=made.digest, size=made.size
    )
    if not is_news:
        # It may have taken room anew, for bytes that were sent once more.
        await ledger.resources.resize(upload.account, upload.name, None)


async def claim_made_file(exchange: Exchange, made: FileMade | None) -> None:
    """Write down whose a file is that came in a single request."""
    if made is not None:
        resources = exchange.parts.ledger.resources
        await resources.claim(exchange.account, made.name, ResourceKind.FILE, seconds=FILE_SECONDS, digest=made.digest)
        await resources.resize(exchange.account, made.name, made.size)
