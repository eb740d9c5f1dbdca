"""A signed post: how alerts and events leave for an address that a setting names."""

import time

from pydantic import SecretStr

from jangbu.alerts.egress import Target, post
from jangbu.alerts.signature import secret_bytes, signature_of
from jangbu.errors import InvalidSettings

__all__ = ["SEND_SECONDS", "SignedPost", "signed_post_of"]

SEND_SECONDS = 10
_AGENT = "jangbu"


class SignedPost:
    """Posts bodies to one address, signed so that its receiver can tell them from a forgery and from a replay."""

    def __init__(self, target: Target, key: bytes, *, allows_private: bool) -> None:
        self._target = target
        self._key = key
        self._allows_private = allows_private

    async def send(self, id_: str, body: bytes) -> None:
        """Post a body. Raises AlertUndelivered unless it is answered with a status of 200 to 299.

        What is sent again has the same id and a new timestamp.
        """
        timestamp = int(time.time())
        headers = (
            ("content-type", "application/json"),
            ("user-agent", _AGENT),
            ("webhook-id", id_),
            ("webhook-timestamp", str(timestamp)),
            ("webhook-signature", signature_of(self._key, id_=id_, timestamp=timestamp, body=body)),
        )
        await post(self._target, body, headers, allows_private=self._allows_private, seconds=SEND_SECONDS)


def signed_post_of(
    url: SecretStr | None, secret: SecretStr | None, name: str, *, allows_private: bool
) -> SignedPost | None:
    """Make what posts to the address of the settings ``<name>_url`` and ``<name>_secret``, or None without an address.

    Raises InvalidSettings.
    """
    if url is None:
        if secret is not None:
            raise InvalidSettings(f"{name}_secret signs nothing", hint=f"set {name}_url too")
        return None
    if secret is None:
        raise InvalidSettings(
            f"{name}_url has no secret to sign with",
            hint=f"set JANGBU_{name.upper()}_SECRET, for example to whsec_ and the output of `openssl rand -base64 32`",
        )
    target = Target.read(url.get_secret_value(), f"{name}_url")
    key = secret_bytes(secret.get_secret_value(), f"{name}_secret")
    return SignedPost(target, key, allows_private=allows_private)
