"""Clients and providers that speak HTTP byte by byte, also wrongly, and `jangbu serve` as a process of its own."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from jangbu.config import Settings
from jangbu.metering.meter import Metering
from jangbu.wiring import open_metering
from tests.gateway.stage import UPSTREAM_KEY
from tests.ports import free_port

PATIENCE_SECONDS = 60
_CLEARED = ("JANGBU_", "GEMINI_")
_TALKATIVE = """
import logging, runpy, sys, warnings
logging.basicConfig(level=logging.DEBUG)
warnings.simplefilter("ignore")
sys.argv[0] = "jangbu"
runpy.run_module("jangbu", run_name="__main__")
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status 0 where the connection was closed without a word."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def reason(self) -> str:
        """Jangbu's own reason of a refusal."""
        found: str = json.loads(self.body)["error"]["details"][0]["reason"]
        return found


class Wire:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @property
    def is_open(self) -> bool:
        """Whether the other side has not ended the connection yet, as far as is known."""
        return not self.reader.at_eof() and not self.writer.is_closing()

    async def send(self, data: bytes) -> None:
        """Send bytes; to a connection that was closed meanwhile nothing is sent."""
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def answer(self, *, bodiless: bool = False, seconds: float = PATIENCE_SECONDS) -> Answer:
        """Read one answer, or that there is none."""
        try:
            async with asyncio.timeout(seconds):
                head = await self.reader.readuntil(b"\r\n\r\n")
                line, *lines = head[:-4].decode("latin-1").split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                status = int(line.split(" ")[1])
                return Answer(status, headers, b"" if bodiless else await self._body(headers))
        except (asyncio.IncompleteReadError, ConnectionError):
            return Answer(0)

    async def until_closed(self, seconds: float = PATIENCE_SECONDS) -> bytes:
        """Read until the other side closes; raises TimeoutError where it does not."""
        with suppress(ConnectionError):
            async with asyncio.timeout(seconds):
                return await self.reader.read()
        return b""

    async def _body(self, headers: dict[str, str]) -> bytes:
        if "chunked" not in headers.get("transfer-encoding", ""):
            return await self.reader.readexactly(int(headers.get("content-length", "0")))
        body = b""
        while size := int((await self.reader.readuntil(b"\r\n"))[:-2], 16):
            body += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return body


@asynccontextmanager
async def wire(url: str, *, receive_buffer: int | None = None) -> AsyncIterator[Wire]:
    """Open a client's connection."""
    address = urlsplit(url)
    connection = socket.socket()
    connection.setblocking(False)
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(connection, (address.hostname or "", address.port or 80))
    reader, writer = await asyncio.open_connection(sock=connection, limit=receive_buffer or 2**20)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def asked_once(url: str, request: bytes, *, bodiless: bool = False) -> Answer:
    """Send one request on a connection of its own."""
    async with wire(url) as client:
        await client.send(request)
        return await client.answer(bodiless=bodiless)


def post(path: str, body: bytes | str, key: str, *lines: str, user: str = "kim") -> bytes:
    """Write a call."""
    body = body.encode() if isinstance(body, str) else body
    head = [f"POST {path} HTTP/1.1", "host: gateway", f"x-goog-api-key: {key}", f"x-jangbu-user: {user}", *lines]
    return "\r\n".join([*head, f"content-length: {len(body)}", "", ""]).encode("latin-1") + body


def get(path: str, key: str, *, user: str = "kim") -> bytes:
    """Write a question."""
    head = [f"GET {path} HTTP/1.1", "host: gateway", f"x-goog-api-key: {key}", f"x-jangbu-user: {user}"]
    return "\r\n".join([*head, "", ""]).encode("latin-1")


Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Provider:
    """A provider that answers every request with the same bytes, or as it is told to."""

    url: str = ""
    heads: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def provider(answer: bytes | Conversation) -> AsyncIterator[Provider]:
    """Serve a provider that can do what no HTTP server does."""
    made = Provider()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                made.heads.append(head)
                length = next(
                    (line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")),
                    b"0",
                )
                await reader.readexactly(int(length))
                if not isinstance(answer, bytes):
                    await answer(reader, writer)
                    return
                writer.write(answer)
                await writer.drain()
                if b"connection: close" in answer.lower():
                    break
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


def said(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    """Write a provider's answer."""
    head = [f"HTTP/1.1 {status}", "content-type: application/json", *lines, f"content-length: {len(body)}", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


@dataclass
class Service:
    """`jangbu serve`, running."""

    url: str
    process: asyncio.subprocess.Process
    log: Path

    @property
    def resident(self) -> int:
        """Bytes of memory in use now."""
        return self._memory("VmRSS")

    @property
    def resident_most(self) -> int:
        """The most bytes of memory that were ever in use, or since ``forget_most``."""
        return self._memory("VmHWM")

    def forget_most(self) -> None:
        """Measure the most anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    @property
    def command_line(self) -> str:
        """What everybody on the machine sees of it."""
        return Path(f"/proc/{self.process.pid}/cmdline").read_text()

    def _memory(self, name: str) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the process is gone")


@asynccontextmanager
async def service(
    directory: Path, environment: dict[str, Any], *options: str, talkative: bool = False
) -> AsyncIterator[Service]:
    """Run `jangbu serve` with settings of its own until the context ends; ``talkative`` has all parts log all they can.

    Raises AssertionError, with what it wrote, where it does not start.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_CLEARED)}
    port = free_port()
    log = directory / f"serve-{port}.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *(("-X", "dev", "-c", _TALKATIVE) if talkative else ("-m", "jangbu"))),
            *("serve", "--port", str(port), "--json", *options),
            cwd=directory,
            env={**kept, **{name: str(value) for name, value in environment.items()}},
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE_SECONDS)
        assert line, log.read_text()
        url = json.loads(line)["url"]
        await _answers(url)
        yield Service(url, process, log)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
        except TimeoutError:
            process.kill()
            await process.communicate()
            raise


async def _answers(url: str) -> None:
    """Wait until the service answers."""
    async with aiohttp.ClientSession() as http:
        for _ in range(200):
            with suppress(aiohttp.ClientError):
                async with http.get(f"{url}/healthz") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)
    raise AssertionError("the service does not answer")


@dataclass
class Running:
    """`jangbu serve`, the ledger that it keeps, seen from here, and an app's key."""

    service: Service
    ledger: Metering
    key: str

    @property
    def url(self) -> str:
        """Where it serves."""
        return self.service.url

    async def used(self, user: str = "kim") -> tuple[int, int]:
        """Give the tokens that a user has used, and those that are held."""
        balance = await self.ledger.accounts.balance(user)
        return balance.used, balance.held


@asynccontextmanager
async def running(
    database_url: str, upstream_url: str, directory: Path, *, talkative: bool = False, **settings: Any
) -> AsyncIterator[Running]:
    """Serve with an account of kim's, who is rich."""
    chosen = Settings.load(database_url=database_url)
    environment = {
        "JANGBU_DATABASE_URL": database_url,
        "JANGBU_UPSTREAM_URL": upstream_url,
        "GEMINI_API_KEY": UPSTREAM_KEY,
        **{f"JANGBU_{name.upper()}": value for name, value in settings.items()},
    }
    async with open_metering(chosen) as ledger:
        await ledger.accounts.create("kim")
        await ledger.accounts.grant("kim", 1_000_000_000, key="rich")
        _, key = await ledger.keys.create_for_app("shop")
        async with service(directory, environment, talkative=talkative) as served:
            yield Running(served, ledger, key)


async def open_holds(ledger: Metering) -> list[str]:
    """Tell which calls hold tokens and have not come to an end; work that was started and runs on is not among them."""
    found = await ledger.holds.page(None, ["open"], 100)
    return [str(hold.id) for hold in found if hold.expires_at - hold.taken_at < timedelta(hours=1)]


async def until(true: Callable[[], Awaitable[bool]], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something is so; raises TimeoutError where it does not become so."""
    async with asyncio.timeout(seconds):
        while not await true():  # noqa: ASYNC110 - another process makes it so
            await asyncio.sleep(0.05)


async def none_open(ledger: Metering) -> bool:
    """Tell whether every call has come to an end."""
    return not await open_holds(ledger)
