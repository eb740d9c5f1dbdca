"""Webhooks that were pointed at somebody's own network, and receivers that mean harm: real ones, on real sockets.

What is posted is the operator's alerts and the app's events; each case is tried with both.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from jangbu.alerts.app_webhook import app_webhook_of
from jangbu.alerts.webhook import webhook_of
from jangbu.config import Settings
from jangbu.domain.alerts import Alert, Condition, Phase
from jangbu.domain.webhooks import Event, EventKind
from jangbu.errors import AlertUndelivered, InvalidSettings
from tests.alerts.receiver import SECRET, Receiver, receiving
from tests.alerts.test_webhook import resolve_by

NAME = "kim\r\nx-evil: 1\r\n\r\n{}"
CANARY = "a-secret-of-the-address"
SENT = {"host", "content-length", "connection", "content-type", "user-agent"}
SENT |= {"webhook-id", "webhook-timestamp", "webhook-signature"}

Send = Callable[..., Awaitable[None]]


async def send_alert(url: str, *, private: bool = False) -> None:
    settings = Settings.load(alert_webhook_url=url, alert_webhook_secret=SECRET, alert_private_targets=private)
    webhook = webhook_of(settings)
    assert webhook is not None
    now = datetime.now(UTC)
    await webhook.send(Alert(uuid4(), NAME, Condition.TEST, Phase.BEGAN, NAME, NAME, now, {"models": NAME}))


async def send_event(url: str, *, private: bool = False) -> None:
    webhook = app_webhook_of(Settings.load(webhook_url=url, webhook_secret=SECRET, alert_private_targets=private))
    assert webhook is not None
    await webhook.send(Event(uuid4(), NAME, EventKind.TEST, NAME, datetime.now(UTC), {"call": NAME}))


@pytest.fixture(params=[send_alert, send_event], ids=["the operator's", "the app's"])
def send(request: pytest.FixtureRequest) -> Send:
    made: Send = request.param
    return made


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@asynccontextmanager
async def saying(pieces: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """Serve a receiver that answers as it likes; give its address."""
    conversations: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await pieces(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{CANARY}"
    finally:
        server.close()
        await asyncio.wait_for(asyncio.gather(*conversations), 20)


HERE = ("127.0.0.1", "127.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001", "localhost")
"""Spellings of this machine that the system's resolver understands."""


@pytest.mark.parametrize("host", HERE)
async def test_this_machine_is_reached_by_no_spelling_unless_it_was_allowed(
    receiver: Receiver, send: Send, host: str
) -> None:
    url = f"http://{host}:{receiver.port}/{CANARY}"
    with pytest.raises(AlertUndelivered, match="JANGBU_ALERT_PRIVATE_TARGETS=true"):
        await send(url)
    assert receiver.received == []
    await send(url, private=True)
    assert len(receiver.received) == 1, "it is the check that stopped it, and not the spelling"


@pytest.mark.parametrize(
    "host",
    [
        *("0.0.0.0", "0", "LOCALHOST", "127。0。0。1", "①②⑦.0.0.1", "[::1]", "[::]", "[::ffff:127.0.0.1]"),
        *("[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]"),
        *("169.254.169.254", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]", "[fe80::1]", "[fe80::1%25lo]", "2852039166"),
        *("10.0.0.1", "172.16.0.1", "192.168.0.1", "100.100.100.200", "168.63.129.16", "224.0.0.1", "255.255.255.255"),
    ],
)
async def test_no_address_of_ones_own_is_connected_to(
    receiver: Receiver, send: Send, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = connections(monkeypatch)
    with pytest.raises(AlertUndelivered, match=r"JANGBU_ALERT_PRIVATE_TARGETS=true|its name is not known"):
        await send(f"http://{host}:{receiver.port}/{CANARY}")
    assert connected == []


def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the addresses that are connected to from now on; nobody listens at any of them."""
    made: list[str] = []

    async def refuse(host: str, *_more: Any, **_named: Any) -> Any:
        made.append(host)
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio, "open_connection", refuse)
    return made


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.7"])
async def test_a_name_that_leads_inside_is_refused_also_among_addresses_that_do_not(
    send: Send, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = connections(monkeypatch)
    for answer in ([address], ["93.184.216.34", address], [address, "93.184.216.34"]):
        resolve_by(monkeypatch, answer)
        with pytest.raises(AlertUndelivered, match="not public"):
            await send("http://alerts.example.com/")
    assert connected == []


async def test_a_name_that_changes_its_mind_after_the_check_leads_nowhere_else(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, connected = resolve_by(monkeypatch, ["93.184.216.34"], ["127.0.0.1"]), connections(monkeypatch)
    with pytest.raises(AlertUndelivered, match="nobody listens there"):
        await send("https://alerts.example.com/")
    assert (asked, connected) == (["alerts.example.com"], ["93.184.216.34"])
    with pytest.raises(AlertUndelivered, match="not public"):
        await send("https://alerts.example.com/")
    assert connected == ["93.184.216.34"], "each attempt is checked anew"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nobody_is_led_on(receiver: Receiver, send: Send, status: int) -> None:
    async with receiving() as other:
        for location in (other.url, "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "//[::1]/"):
            receiver.status, receiver.location = status, location
            with pytest.raises(AlertUndelivered, match="redirects are not followed"):
                await send(receiver.url, private=True)
        assert other.received == []


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/a-secret", "gopher://127.0.0.1:25/a-secret", "ftp://host/a-secret", "dict://host/a-secret"),
        *("javascript:a-secret", "data:,a-secret", "//host/a-secret", "http:a-secret", "http:///a-secret"),
        *(
            "https://kim@host/a-secret",
            "https://kim:a-secret@host/",
            "https://:a-secret@host/",
            "https://@host/a-secret",
        ),
        *("http://example.com\\@127.0.0.1/a-secret", "http://example.com#@127.0.0.1/\r\na-secret: b c"),
        *("http://127.0.0.1:99999/a-secret", "http://127.0.0.1:-1/a-secret", "http://127.0.0.1:a/a-secret"),
        *("http://host/a-secret HTTP/1.1\r\nx-evil: 1", "http://host/a-secret\x00", "http://host/a-secret\x7f"),
        *("http://" + "a" * 300 + ".example.com/a-secret", "http://\ud800/a-secret", "http://[::1/a-secret"),
    ],
)
async def test_what_is_no_plain_address_of_http_is_refused_without_being_repeated(send: Send, url: str) -> None:
    with pytest.raises((InvalidSettings, AlertUndelivered)) as refused:
        await send(url)
    assert "a-secret" not in str(refused.value)


async def test_no_name_becomes_a_header(receiver: Receiver, send: Send) -> None:
    await send(receiver.url, private=True)
    (received,) = receiver.received
    assert set(received.headers) - {""} == SENT
    assert received.json["project"] == NAME


async def test_the_body_of_an_answer_is_not_waited_for(send: Send) -> None:
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
        while True:
            writer.write(b"a" * 65_536)
            await writer.drain()
            sent += 65_536

    began = time.monotonic()
    async with saying(endless) as url:
        await send(url, private=True)
    assert time.monotonic() - began < 10
    assert sent < 50_000_000


@pytest.mark.parametrize(
    "piece",
    [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n", b"a" * 1_000, b"\r\n"],
    ids=["100 without end", "103 without end", "no line's end", "empty lines"],
)
async def test_a_head_that_never_ends_is_refused(send: Send, piece: bytes) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(piece * 100)
            await writer.drain()

    async with saying(endless) as url:
        with pytest.raises(AlertUndelivered, match=r"too large a head|does not speak HTTP"):
            await send(url, private=True)


async def test_a_head_that_comes_byte_by_byte_is_waited_for_only_so_long(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jangbu.alerts.signed.SEND_SECONDS", 1)

    async def slowly(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nx-a: ")
        while True:
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with saying(slowly) as url:
        with pytest.raises(AlertUndelivered, match="did not answer within 1 s"):
            await send(url, private=True)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nx: \x00\r\n\r\n",
        b"HTTP/1.1 99999 no\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n",
        b"\xff" * 5_000,
        b"",
    ],
)
async def test_an_answer_that_means_nothing_is_no_delivery_and_says_nothing_of_the_address(
    send: Send, head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def once(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await writer.drain()

    with caplog.at_level(logging.DEBUG):
        async with saying(once) as url:
            with pytest.raises(AlertUndelivered) as refused:
                await send(url, private=True)
    for secret in (CANARY, SECRET, SECRET.removeprefix("whsec_")):
        assert secret not in f"{refused.value!r} {refused.value} {refused.value.__cause__!r} {caplog.text}"
