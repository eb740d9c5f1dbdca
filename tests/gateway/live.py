"""What the tests of Live play with: a client of the gateway, and a provider that says what it is told to."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from jangbu.storage import reports
from jangbu.storage.reports import CallRow
from jangbu.testing import FakeGemini
from tests.gateway.stage import Stage, stage

MODEL = "gemini-2.0-flash-live-001"
PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
SETUP = {"setup": {"model": f"models/{MODEL}", "generationConfig": {"responseModalities": ["TEXT"]}}}

Client = aiohttp.ClientWebSocketResponse
Script = Callable[[ServerConnection], Awaitable[None]]


def said(text: str, *, complete: bool = True) -> dict[str, Any]:
    """Give a message in which a user says something."""
    return {"clientContent": {"turns": [{"role": "user", "parts": [{"text": text}]}], "turnComplete": complete}}


def spoken(text: str) -> dict[str, Any]:
    """Give a message in which the model says something."""
    return {"serverContent": {"modelTurn": {"parts": [{"text": text}]}}}


def reported(total: int) -> dict[str, Any]:
    """Give the message with which a provider ends a turn."""
    usage = {"promptTokenCount": total - 1, "responseTokenCount": 1, "totalTokenCount": total}
    return {"serverContent": {"turnComplete": True}, "usageMetadata": usage}


@asynccontextmanager
async def connected(
    served: Stage, *, user: str | None = "kim", key: str | None = None, path: str = PATH, **headers: str
) -> AsyncIterator[Client]:
    """Give a socket to the gateway, with nothing said yet."""
    sent = {"x-goog-api-key": served.key if key is None else key, **headers}
    if user is not None:
        sent["x-jangbu-user"] = user
    async with served.http.ws_connect(served.url + path, headers=sent) as client:
        yield client


@asynccontextmanager
async def session(served: Stage, setup: Mapping[str, Any] = SETUP, **options: Any) -> AsyncIterator[Client]:
    """Give a session that is set up."""
    async with connected(served, **options) as client:
        await client.send_json(setup)
        assert json.loads((await client.receive()).data) == {"setupComplete": {}}
        yield client


async def turn(client: Client, text: str = "hi") -> int:
    """Say something and hear the answer out; give the total that was reported."""
    await client.send_json(said(text))
    while True:
        message = await client.receive()
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        usage = json.loads(message.data).get("usageMetadata")
        if usage:
            total: int = usage["totalTokenCount"]
            return total


async def closed(client: Client) -> tuple[int | None, str]:
    """Wait for the end of a session; give its code and reason."""
    while True:
        message = await client.receive()
        if message.type is aiohttp.WSMsgType.CLOSE:
            return message.data, message.extra or ""
        if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
            return client.close_code, ""


async def calls(served: Stage, user: str = "kim") -> Sequence[CallRow]:
    """Give a user's records, newest first."""
    return await reports.calls(served.ledger.database, served.ledger.accounts.id_of(user), None, 100)


async def unknown(served: Stage, user: str = "kim") -> int:
    """Count the holds whose outcome is unknown."""
    return len(await served.ledger.holds.page(served.ledger.accounts.id_of(user), ["unknown"], 10))


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(30):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def provider(script: Script, answer: Callable[[Request], Response | None] | None = None) -> AsyncIterator[str]:
    """Serve a script in Google's place; give its address. ``answer`` may answer the upgrade otherwise."""

    async def process(connection: ServerConnection, request: Request) -> Response | None:
        del connection
        return None if answer is None else answer(request)

    async with serve(script, "127.0.0.1", 0, process_request=process, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}"


async def set_up(socket: ServerConnection) -> None:
    """Take a setup and confirm it."""
    await socket.recv()
    await socket.send('{"setupComplete": {}}')


@asynccontextmanager
async def scripted(database_url: str, gemini: FakeGemini, url: str, **settings: object) -> AsyncIterator[Stage]:
    """Give a gateway before a scripted provider."""
    async with stage(database_url, gemini, upstream_url=url, **settings) as served:
        await served.open("kim")
        yield served


def speech(seconds: float) -> dict[str, object]:
    """Give a message of silence, as a microphone sends it."""
    data = base64.b64encode(bytes(int(seconds * 32_000))).decode()
    return {"realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=16000", "data": data}}}


def abandon(client: aiohttp.ClientWebSocketResponse) -> None:
    """Leave without a word."""
    transport = client._response.connection.transport if client._response.connection else None
    assert transport is not None
    transport.abort()


async def is_used(served: Stage, expected: tuple[int, int], user: str = "kim") -> bool:
    """Tell whether a user has used and holds so many tokens."""
    return await served.used(user) == expected


async def is_unknown(served: Stage, expected: int) -> bool:
    """Tell whether so many of kim's holds are of unknown outcome."""
    return await unknown(served) == expected
