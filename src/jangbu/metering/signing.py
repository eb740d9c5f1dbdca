"""The key that signs what Jangbu hands out: Ed25519, so that whoever checks a signature cannot make one."""

import os
import secrets
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from jangbu.errors import InvalidSettings

ALGORITHM = "ed25519"


class Signer:
    """Signs with one key. ``public_key`` is its public half, 32 bytes in hexadecimal."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes_raw().hex()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the key of a PEM file (PKCS 8, without a password). Raises InvalidSettings."""
        advice = "make one with `openssl genpkey -algorithm ed25519 -out FILE`"
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise InvalidSettings(f"the signing key {path} cannot be read: {error.strerror}") from None
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise InvalidSettings(f"{path} holds no key that can be read", hint=advice) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidSettings(f"{path} holds a key of another kind", hint=advice)
        return cls(key)

    @classmethod
    def read_or_make(cls, path: Path) -> Self:
        """Read the key of a file, or make one there that only its owner may read. Raises InvalidSettings."""
        if not path.exists():
            try:
                _make(path)
            except OSError as error:
                hint = "name one by JANGBU_SIGNING_KEY: `openssl genpkey -algorithm ed25519 -out FILE` makes it"
                raise InvalidSettings(f"no signing key can be made at {path}: {error.strerror}", hint=hint) from None
        return cls.read(path)

    def sign(self, message: bytes) -> str:
        """Give the signature of a message, in hexadecimal."""
        return self._key.sign(message).hex()


def is_signed_by(public_key: str, signature: str, message: bytes) -> bool:
    """Tell whether a signature is that of a message by a key, both in hexadecimal; what is neither signs nothing."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _make(path: Path) -> None:
    """Write a new key whole or not at all; of two that are made at once the first one stands."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(written, path)
    except FileExistsError:
        pass
    finally:
        written.unlink()
