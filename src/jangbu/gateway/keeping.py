"""How much a user has Google keep: of the 20 GB for uploads that all users of the app's project share, and in caches,
for which Google takes the app's money by the hour.

What is uploaded is written down before it leaves, and only then it is looked whether all fits: of two uploads at one
moment at least one sees both. How large a cache is shows when it is made.
"""

from jangbu.errors import TooMuchKept
from jangbu.gateway.exchange import Exchange, Limits, Parts
from jangbu.metering.resources import Kept, Owned

__all__ = ["require_cache_room", "require_room", "reserve", "room_for"]


async def require_room(exchange: Exchange, size: int) -> None:
    """Let no upload of so many bytes begin for which there is no room. Raises TooMuchKept."""
    kept = await exchange.parts.ledger.resources.kept(exchange.account)
    _require(exchange.parts.limits, Kept(kept.files + 1, kept.bytes + size))


async def require_cache_room(exchange: Exchange) -> None:
    """Let no cache be made by who has as many as a user may, or as large ones. Raises TooMuchKept."""
    kept, limits = await exchange.parts.ledger.resources.kept(exchange.account), exchange.parts.limits
    if kept.caches >= limits.kept_caches or kept.cache_tokens >= limits.kept_cache_tokens:
        raise TooMuchKept(
            f"a user keeps at most {limits.kept_caches:,} caches, and none beyond {limits.kept_cache_tokens:,} tokens",
            hint="delete caches, or wait until one ends",
        )


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
