"""TLS, built in: with a certificate that was given, or with one of its own that clients can trust."""

import json
import signal
import ssl
import stat
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from jangbu.cli.serve import certificate
from jangbu.cli.serve.certificate import Certificate, self_signed_certificate
from jangbu.testing import FakeGemini
from tests.cli.conftest import Jangbu
from tests.cli.service import PATIENCE_SECONDS, UPSTREAM_KEY, eventually, serving

FAREWELL_SECONDS_MOST = 20
"""Less than the half minute for which the event loops wait by themselves."""


@pytest.fixture
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini(api_key=UPSTREAM_KEY) as gemini:
        yield gemini


async def test_clients_that_trust_the_printed_certificate_get_in(
    jangbu: Jangbu, gemini: FakeGemini, tmp_path: Path
) -> None:
    with serving(jangbu, "--tls-self-signed", gemini=gemini, JANGBU_DATA_DIR=str(tmp_path / "data")) as service:
        chain = Path(service.facts["certificate"])
        assert service.facts["url"] == f"https://127.0.0.1:{service.port}"
        service.trust = ssl.create_default_context(cafile=str(chain))
        service.trust.verify_flags |= ssl.VERIFY_X509_STRICT
        assert service.generate()[0] == 200
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"https://localhost:{service.port}/healthz", ssl=service.trust) as answer,
        ):
            assert answer.status == 200


def test_a_program_that_is_told_of_the_certificate_gets_in(jangbu: Jangbu, tmp_path: Path) -> None:
    with serving(jangbu, "--tls-self-signed", JANGBU_DATA_DIR=str(tmp_path / "data")) as service:
        chain = service.facts["certificate"]
        script = f"import urllib.request as r; print(r.urlopen('https://localhost:{service.port}/healthz').status)"
        asked = subprocess.run(
            [sys.executable, "-c", script],
            env={"SSL_CERT_FILE": chain},
            capture_output=True,
            text=True,
            check=True,
        )
        assert asked.stdout == "200\n"
        assert service.stop() == 0


def test_the_own_certificate_is_kept_private_and_used_again(tmp_path: Path) -> None:
    first = self_signed_certificate(tmp_path / "data", "127.0.0.1")
    made = first.chain.read_bytes()
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    assert self_signed_certificate(tmp_path / "data", "127.0.0.1") == first
    assert first.chain.read_bytes() == made


def test_the_own_certificate_names_the_host_that_is_listened_on(tmp_path: Path) -> None:
    before = self_signed_certificate(tmp_path, "127.0.0.1").chain.read_bytes()
    after = self_signed_certificate(tmp_path, "gateway.example").chain.read_bytes()
    assert before != after
    names = x509.load_pem_x509_certificate(after).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "gateway.example"} <= set(names.get_values_for_type(x509.DNSName))
    assert {"127.0.0.1", "::1"} == {str(address) for address in names.get_values_for_type(x509.IPAddress)}


def test_the_own_certificate_is_renewed_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "_VALID_FOR", timedelta(days=3))
    before = self_signed_certificate(tmp_path, "127.0.0.1").chain.read_bytes()
    monkeypatch.undo()
    after = self_signed_certificate(tmp_path, "127.0.0.1").chain.read_bytes()
    assert before != after
    assert x509.load_pem_x509_certificate(after).not_valid_after_utc - datetime.now(UTC) > timedelta(days=300)


def test_a_key_of_another_certificate_is_replaced(tmp_path: Path) -> None:
    kept = self_signed_certificate(tmp_path, "127.0.0.1")
    kept.key.write_bytes(self_signed_certificate(tmp_path / "other", "127.0.0.1").key.read_bytes())
    again = self_signed_certificate(tmp_path, "127.0.0.1")
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(again.chain, again.key)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_given_certificate_is_served_with(jangbu: Jangbu, tmp_path: Path, workers: str) -> None:
    files = self_signed_certificate(tmp_path / "given", "127.0.0.1")
    words = ("--tls-certificate", str(files.chain), "--tls-key", str(files.key), "--workers", workers)
    with serving(jangbu, *words) as service:
        service.trust = ssl.create_default_context(cafile=str(files.chain))
        status, body, _ = service.get("/healthz")
        assert (status, json.loads(body)) == (200, {"status": "ok"})


def with_an_rsa_key(directory: Path) -> Certificate:
    """Make a certificate for 127.0.0.1 whose key is of another kind than those that Jangbu makes."""
    key, now = rsa.generate_private_key(65_537, 2_048), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "renewed")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    directory.mkdir()
    files = Certificate(directory / "chain.pem", directory / "key.pem")
    pem = serialization.Encoding.PEM
    files.chain.write_bytes(made.public_bytes(pem))
    files.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return files


def test_a_certificate_that_is_exchanged_is_shown_from_then_on(jangbu: Jangbu, tmp_path: Path) -> None:
    files, newer = self_signed_certificate(tmp_path / "given", "127.0.0.1"), with_an_rsa_key(tmp_path / "newer")
    words = ("--tls-certificate", str(files.chain), "--tls-key", str(files.key), "--workers", "2")
    with serving(jangbu, *words, "--log-format", "json") as service:
        before = ssl.create_default_context(cafile=str(files.chain))
        after = ssl.create_default_context(cafile=str(newer.chain))

        def is_shown_by_all(trust: ssl.SSLContext) -> bool:
            service.trust = trust
            with suppress(urllib.error.URLError):
                return {service.get("/healthz")[0] for _ in range(12)} == {200}
            return False

        assert is_shown_by_all(before)
        files.chain.write_bytes(newer.chain.read_bytes())
        eventually(lambda: sum("one before is kept" in line.get("message", "") for line in service.lines()) == 2)
        assert is_shown_by_all(before)
        files.key.write_bytes(newer.key.read_bytes())
        eventually(lambda: is_shown_by_all(after))
        assert service.stop() == 0


@pytest.mark.parametrize(
    ("lasts", "state"), [(timedelta(minutes=-1), "fail"), (timedelta(days=8), "warn"), (timedelta(days=300), "ok")]
)
def test_a_doctor_tells_how_long_the_certificate_lasts(
    jangbu: Jangbu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasts: timedelta, state: str
) -> None:
    monkeypatch.setattr(certificate, "_VALID_FOR", lasts)
    files = self_signed_certificate(tmp_path, "127.0.0.1")
    ended = jangbu("doctor", "--json", JANGBU_TLS_CERTIFICATE=str(files.chain), JANGBU_TLS_KEY=str(files.key))
    assert {check["name"]: check["state"] for check in ended.json["checks"]}["certificate"] == state


def test_files_that_are_no_pair_are_told_before_anything_is_served(offline: Jangbu, tmp_path: Path) -> None:
    one = self_signed_certificate(tmp_path / "one", "127.0.0.1")
    other = self_signed_certificate(tmp_path / "other", "127.0.0.1")
    for words, told in (
        (("--tls-certificate", str(one.chain)), "--tls-key"),
        (("--tls-certificate", str(one.chain), "--tls-key", str(other.key)), "cannot be served with"),
        (("--tls-certificate", str(tmp_path / "none"), "--tls-key", str(one.key)), "cannot be read"),
        (("--tls-self-signed", "--tls-certificate", str(one.chain), "--tls-key", str(one.key)), "two certificates"),
    ):
        ended = offline("serve", *words)
        assert ended.code == 2
        assert told in ended.error_line


def client_hello() -> bytes:
    """Write what a client of TLS says first."""
    read, written = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(read, written, server_hostname="localhost").do_handshake()
    return written.read()


@pytest.mark.parametrize("hello", [b"", client_hello()], ids=["nothing", "a byte now and then"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_handshake_that_never_ends_is_cut_off(jangbu: Jangbu, tmp_path: Path, workers: str, hello: bytes) -> None:
    files = self_signed_certificate(tmp_path / "given", "127.0.0.1")
    words = ("--tls-certificate", str(files.chain), "--tls-key", str(files.key), "--workers", workers)
    with (
        serving(jangbu, *words, "--log-format", "json", JANGBU_HEAD_SECONDS_MAX="1", GEMINI_API_KEY="a-key") as service,
        service.connect() as connection,
    ):
        began = time.monotonic()
        connection.settimeout(0.05)
        with suppress(ConnectionError):
            for byte in hello + bytes(PATIENCE_SECONDS * 20):
                if hello:
                    connection.sendall(bytes([byte]))
                with suppress(TimeoutError):
                    assert connection.recv(1) == b""
                    break
        assert 0.9 < time.monotonic() - began < 10
        assert service.log.read_text() == ""


def test_a_client_that_never_says_goodbye_is_not_waited_for_when_serving_ends(jangbu: Jangbu) -> None:
    with serving(jangbu, "--tls-self-signed", JANGBU_STOP_SECONDS_MAX="600") as service:
        trust = ssl.create_default_context(cafile=service.facts["certificate"])
        with trust.wrap_socket(service.connect(), server_hostname="localhost") as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert client.recv(15) == b"HTTP/1.1 200 OK"
            service.process.send_signal(signal.SIGTERM)
            assert service.process.wait(FAREWELL_SECONDS_MOST) == 0
