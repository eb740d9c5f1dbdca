"""The webhook: signed, bounded, never led astray, and silent about where it leads."""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from jangbu.alerts import egress
from jangbu.alerts.egress import Target, is_public
from jangbu.alerts.signature import secret_bytes, signature_of
from jangbu.alerts.webhook import Webhook, webhook_of
from jangbu.config import Settings
from jangbu.domain.alerts import Alert, Condition, Phase
from jangbu.errors import AlertUndelivered, InvalidSettings
from tests.alerts.receiver import Receiver, receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ALERT = Alert(
    uuid4(),
    "shop",
    Condition.UNPRICED,
    Phase.BEGAN,
    "unpriced",
    "host",
    datetime.now(UTC),
    {"findings": 3, "models": "a"},
)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


def webhook(url: str, *, private: bool = True) -> Webhook:
    made = webhook_of(Settings.load(alert_webhook_url=url, alert_webhook_secret=SECRET, alert_private_targets=private))
    assert made is not None
    return made


def test_the_signature_is_that_of_the_standard() -> None:
    body = b'{"test": 2432232314}'
    signature = signature_of(secret_bytes(SECRET), id_="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_receiver_can_verify_what_it_gets(receiver: Receiver) -> None:
    await webhook(receiver.url).send(ALERT)
    [received] = receiver.received
    headers = received.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + received.body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["content-type"] == "application/json"
    assert abs(int(headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 600
    told = received.json
    assert (told["id"], told["type"]) == (str(ALERT.id), "jangbu.alert")
    assert (told["condition"], told["phase"], told["severity"]) == ("unpriced", "began", "warning")
    assert told["facts"] == {"findings": 3, "models": "a"}
    assert told["text"].startswith("No price is known for 3 calls (a)")


async def test_what_is_sent_again_has_the_same_id_and_body(receiver: Receiver) -> None:
    for _ in range(2):
        await webhook(receiver.url).send(ALERT)
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"])
async def test_a_target_on_this_machine_is_refused_unless_it_was_allowed(receiver: Receiver, host: str) -> None:
    with pytest.raises(AlertUndelivered, match=r"JANGBU_ALERT_PRIVATE_TARGETS|its name is not known"):
        await webhook(f"http://{host}:{receiver.port}/", private=False).send(ALERT)
    assert receiver.received == []


async def test_a_name_that_leads_to_this_machine_is_refused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_by(monkeypatch, ["127.0.0.1"])
    with pytest.raises(AlertUndelivered, match="not public"):
        await webhook(f"http://alerts.example.com:{receiver.port}/", private=False).send(ALERT)
    resolve_by(monkeypatch, ["93.184.216.34", "10.0.0.7"])
    with pytest.raises(AlertUndelivered, match="not public"):
        await webhook(f"http://alerts.example.com:{receiver.port}/", private=False).send(ALERT)
    assert receiver.received == []


async def test_the_address_that_was_checked_is_the_one_that_is_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolve_by(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])
    await webhook(f"http://alerts.example.com:{receiver.port}/in?a=1").send(ALERT)
    assert asked == ["alerts.example.com"], "nobody asks a second time, when the answer might be another"
    assert receiver.received[0].headers["host"] == f"alerts.example.com:{receiver.port}"


def resolve_by(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Have the system's resolver give these addresses for names, one answer after another; give what it is asked."""
    asked: list[str] = []
    real = socket.getaddrinfo
    left = list(answers)

    def answer(host: str, port: int, *more: Any, **named: Any) -> Any:
        asked.append(host)
        if not host.endswith(".example.com"):
            return real(host, port, *more, **named)
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


NOT_PUBLIC = (
    "127.0.0.1",
    "127.8.8.8",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "0.0.0.0",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.0.192",
    "198.18.0.1",
    "168.63.129.16",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "::127.0.0.1",
    "2001:0:7f00:1::",
)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_address_of_a_network_of_ones_own_is_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_the_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_refused(receiver: Receiver, status: int) -> None:
    async with receiving() as other:
        receiver.status, receiver.location = status, other.url
        with pytest.raises(AlertUndelivered, match="redirects are not followed"):
            await webhook(receiver.url).send(ALERT)
        assert other.received == []


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
async def test_a_refusal_is_no_delivery(receiver: Receiver, status: int) -> None:
    receiver.status = status
    with pytest.raises(AlertUndelivered, match=f"the receiver answered {status}"):
        await webhook(receiver.url).send(ALERT)


async def test_a_receiver_that_never_answers_is_waited_for_only_so_long(receiver: Receiver) -> None:
    receiver.is_silent = True
    target = Target.read(receiver.url, "a setting")
    with pytest.raises(AlertUndelivered, match="did not answer within 1 s"):
        await egress.post(target, b"{}", (), allows_private=True, seconds=1)
    assert len(receiver.received) == 1


@pytest.mark.parametrize("said", [b"SSH-2.0-a\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000])
async def test_what_speaks_no_http_or_too_much_of_it_is_refused(said: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(AlertUndelivered):
            await webhook(f"http://127.0.0.1:{port}/").send(ALERT)


async def test_nothing_of_the_address_is_in_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/hook/a-secret", "http://a-secret.invalid/a-secret"):
        with pytest.raises(AlertUndelivered) as caught:
            await webhook(url).send(ALERT)
        assert "secret" not in str(caught.value)
        assert str(port) not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/a-secret",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "https://",
        "a-secret",
        "https://kim:a-secret@host/",
        "https://host:99999/a-secret",
        "https://host/a secret",
        "https://host/\r\nx: a-secret",
        "https://[::1/a-secret",
    ],
)
def test_what_is_no_address_of_http_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(InvalidSettings, match="alert_webhook_url") as caught:
        webhook(url)
    assert "a-secret" not in str(caught.value)


@pytest.mark.parametrize("secret", ["tiny", "whsec_!!!", "whsec_c2hvcnQ="])
def test_a_secret_that_protects_nothing_is_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(InvalidSettings, match="alert_webhook_secret") as caught:
        webhook_of(Settings.load(alert_webhook_url="https://host/", alert_webhook_secret=secret))
    assert secret not in str(caught.value)


def test_a_webhook_is_never_sent_unsigned() -> None:
    with pytest.raises(InvalidSettings, match="has no secret to sign with"):
        webhook_of(Settings.load(alert_webhook_url="https://host/"))
    with pytest.raises(InvalidSettings, match="signs nothing"):
        webhook_of(Settings.load(alert_webhook_secret=SECRET))
    assert webhook_of(Settings.load()) is None
