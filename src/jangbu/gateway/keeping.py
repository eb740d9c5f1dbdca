"""How much of Google's room a user takes with uploads: the app's project has 20 GB of it, for all users together.

What is sent is written down before it leaves, and only then it is looked whether all fits: of two uploads at one moment
at least one sees both.
"""

from jangbu.errors import TooMuchKept
from jangbu.gateway.exchange import Exchange, Limits, Parts
from jangbu.metering.resources import Kept, Owned

__all__ = ["require_room", "reserve", "room_for"]


async def require_room(exchange: Exchange, size: int) -> None:
    """Let no upload of so many bytes begin for which there is no room. Raises TooMuchKept."""
    kept = await exchange.parts.ledger.resources.kept(exchange.account)
    _require(exchange.parts.limits, Kept(kept.files + 1, kept.bytes + size))


async def room_for(parts: Parts, upload: Owned) -> int:
    """Give how many bytes an upload may have in all."""
    kept = await parts.ledger.resources.kept(upload.account)
    return parts.limits.kept_bytes - kept.bytes + (upload.size or 0)


async def reserve(parts: Parts, upload: Owned, size: int) -> None:
    """Have an upload take room for so many bytes in all, which are about to be sent. Raises TooMuchKept."""
    resources = parts.ledger.resources
    await resources.resize(upload.account, upload.name, max(size, upload.size or 0))
    try:
        _require(parts.limits, await resources.kept(upload.account))
    except TooMuchKept:
        await resources.resize(upload.account, upload.name, upload.size)
        raise


def _require(limits: Limits, kept: Kept) -> None:
    if kept.files > limits.kept_files or kept.bytes > limits.kept_bytes:
        raise TooMuchKept(
            f"a user keeps at most {limits.kept_files:,} files of {limits.kept_bytes:,} bytes in all at once",
            hint="delete files, or wait: each is deleted after 48 hours",
        )
