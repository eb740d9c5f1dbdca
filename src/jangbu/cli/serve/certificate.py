"""The certificate that the server shows: one that was given, or one of its own for development."""

import asyncio
import logging
import os
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from jangbu.errors import InvalidSettings, JangbuError

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["Certificate", "ends_at", "given_certificate", "keep_current", "self_signed_certificate"]

_log = logging.getLogger("jangbu.gateway")

_LOOKED_AT_SECONDS = 5
_VALID_FOR = timedelta(days=365)
_RENEWED_BEFORE = timedelta(days=7)
_ALWAYS_NAMED = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a certificate and of its key, in PEM."""

    chain: Path
    key: Path


def given_certificate(chain: Path | None, key: Path | None) -> Certificate | None:
    """Check the files that were named; None where none were. Raises InvalidSettings."""
    if chain is None and key is None:
        return None
    if chain is None or key is None:
        raise InvalidSettings("TLS needs a certificate and its key", hint="give --tls-certificate and --tls-key")
    try:
        _load(chain, key)
    except ssl.SSLError as error:
        reason = (error.reason or "unreadable").lower().replace("_", " ")
        raise InvalidSettings(
            f"{chain} and {key} cannot be served with: {reason}",
            hint="give PEM files that belong together, without password",
        ) from None
    except OSError as error:
        raise InvalidSettings(f"{chain} or {key} cannot be read: {error.strerror}") from None
    return Certificate(chain, key)


def self_signed_certificate(data_dir: Path, host: str) -> Certificate:
    """Give the certificate of this machine that signs itself, making it where there is none or where it ends soon.

    It is for localhost, 127.0.0.1, ::1, the machine's name and ``host``. Raises JangbuError where it cannot be kept.
    """
    from jangbu.storage.embedded.locks import locked

    kept = Certificate(data_dir / "tls" / "certificate.pem", data_dir / "tls" / "key.pem")
    names = [*_ALWAYS_NAMED, *([host] if host not in (*_ALWAYS_NAMED, *_EVERYWHERE) else [])]
    machine = socket.gethostname()
    if machine.isascii() and machine not in names:
        names.append(machine)
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept.key.parent.mkdir(mode=0o700, exist_ok=True)
        with locked(kept.key.parent):
            if not _is_good(kept, names):
                _make(kept, names)
    except OSError as error:
        raise JangbuError(
            f"the certificate cannot be kept in {kept.key.parent}: {error.strerror}",
            hint="set JANGBU_DATA_DIR to a directory that you may write",
        ) from error
    return kept


def ends_at(chain: Path) -> datetime:
    """Give until when a certificate is valid. Raises OSError, and ValueError where the file holds none."""
    from cryptography import x509

    return x509.load_pem_x509_certificate(chain.read_bytes()).not_valid_after_utc


async def keep_current(certificate: Certificate, context: ssl.SSLContext) -> None:
    """Show a certificate whose files were exchanged to everybody who connects from then on, until cancelled.

    Files that do not belong together, as while one of them is still to come, are looked at again when they change.
    """
    shown = _state_of(certificate)
    while True:
        await asyncio.sleep(_LOOKED_AT_SECONDS)
        if (found := _state_of(certificate)) == shown:
            continue
        shown = found
        try:
            newer = _load(certificate.chain, certificate.key)
        except OSError as error:
            _log.warning("the certificate was exchanged and cannot be served with, the one before is kept: %s", error)
        else:
            # Beside a certificate with a key of another kind it would stand in one context, and not always be shown.
            context.sni_callback = partial(_show, newer)


def _show(newer: ssl.SSLContext, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _old: object) -> None:
    connection.context = newer


def _state_of(certificate: Certificate) -> list[tuple[int, int, int] | None]:
    """Give what changes when one of the files is written or replaced, or may be read from now on."""
    found: list[tuple[int, int, int] | None] = []
    for file in (certificate.chain, certificate.key):
        try:
            state = file.stat()
            found.append((state.st_ino, state.st_ctime_ns, state.st_size))
        except OSError:
            found.append(None)
    return found


def _is_good(kept: Certificate, names: list[str]) -> bool:
    """Tell whether what is kept belongs together, lasts and names everything."""
    from cryptography import x509

    with suppress(OSError, ValueError, x509.ExtensionNotFound):
        _load(kept.chain, kept.key)
        found = x509.load_pem_x509_certificate(kept.chain.read_bytes())
        named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        lasts = found.not_valid_after_utc - datetime.now(UTC) > _RENEWED_BEFORE
        return lasts and all(name in named for name in _general_names(names))
    return False


def _make(kept: Certificate, names: list[str]) -> None:
    """Make a key and a certificate that clients may trust as it stands."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Jangbu on this machine")])
    now = datetime.now(UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # It vouches for nobody but itself: who trusts it trusts no other certificate that its key could sign.
    rest = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign")
    usage = dict.fromkeys((*rest, "encipher_only", "decipher_only"), False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _put(kept.key, secret, 0o600)
    _put(kept.chain, certificate.public_bytes(pem), 0o644)


def _general_names(names: list[str]) -> "list[x509.GeneralName]":
    from cryptography import x509

    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _load(chain: Path, key: Path) -> ssl.SSLContext:
    """Load a certificate as the server will; a key with a password is refused instead of asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key, password=lambda: b"")
    return context


def _put(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    fresh.replace(path)
