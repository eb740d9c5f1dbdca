"""Tokens that let somebody in: 256 random bits, shown to one person and kept as digests only."""

import re
import secrets
from hashlib import sha256

__all__ = ["digest_of", "is_token", "new_token"]

_BYTES = 32
_LOOKS = re.compile(r"[A-Za-z0-9_-]{43}")


def new_token() -> str:
    """Make a token."""
    return secrets.token_urlsafe(_BYTES)


def is_token(text: str) -> bool:
    """Tell whether a text looks like a token; nothing is looked up for what does not."""
    return _LOOKS.fullmatch(text) is not None


def digest_of(token: str) -> bytes:
    """Give the SHA-256 of a token: all that is ever stored of it or asked for."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
