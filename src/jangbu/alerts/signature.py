"""The signature of a webhook, as standardwebhooks.com has it, so that receivers find a library in every language.

The content that is signed is ``<id>.<timestamp>.<body>``: a receiver refuses an old timestamp and an id that it has
seen, and with them replays.
"""

import base64
import binascii
import hashlib
import hmac

from jangbu.errors import InvalidSettings

__all__ = ["SECRET_BYTES_LEAST", "secret_bytes", "signature_of"]

SECRET_BYTES_LEAST = 16
_PREFIX = "whsec_"


def secret_bytes(secret: str, setting: str = "alert_webhook_secret") -> bytes:
    """Give the key that a secret stands for: base64 after ``whsec_``, else the text itself.

    Raises InvalidSettings for one that is too short or cannot be read; the secret is never repeated.
    """
    hint = "make one with `openssl rand -base64 32` and write whsec_ before it"
    try:
        key = base64.b64decode(secret[len(_PREFIX) :], validate=True) if secret.startswith(_PREFIX) else secret.encode()
    except binascii.Error:
        raise InvalidSettings(f"{setting} has no base64 after whsec_", hint=hint) from None
    if len(key) < SECRET_BYTES_LEAST:
        raise InvalidSettings(f"{setting} is shorter than {SECRET_BYTES_LEAST} bytes", hint=hint)
    return key


def signature_of(key: bytes, *, id_: str, timestamp: int, body: bytes) -> str:
    """Give the value of the header ``webhook-signature``; ``timestamp`` is in seconds since 1970."""
    signed = f"{id_}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
