"""A gateway that serves, on a real ledger, before a fake Gemini: what the tests of the gateway play on."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import uvicorn

from jangbu.config import Settings
from jangbu.gateway.app import Gateway
from jangbu.gateway.assembly import open_gateway
from jangbu.metering.meter import Metering
from jangbu.testing import FakeGemini
from jangbu.wiring import open_metering

FLASH = "gemini-2.5-flash"
GRANT = 1_000_000
UPSTREAM_KEY = "AIza-the-upstream-key"


@dataclass
class Stage:
    """The gateway, the ledger beneath it, the fake Gemini behind it, and a client that holds an app's key."""

    url: str
    ledger: Metering
    gateway: Gateway
    gemini: FakeGemini
    http: aiohttp.ClientSession
    key: str
    headers: Mapping[str, str] = field(default_factory=dict)

    async def open(self, user: str, tokens: int = GRANT) -> str:
        """Open an account with tokens."""
        await self.ledger.accounts.create(user)
        if tokens:
            await self.ledger.accounts.grant(user, tokens, key=f"grant-{user}")
        return user

    async def post(
        self, path: str, body: Any, *, user: str | None = "kim", key: str | None = None, **headers: str
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Post JSON; give the status, the answer and its headers."""
        sent = {"x-goog-api-key": self.key if key is None else key, **headers}
        if user is not None:
            sent["x-jangbu-user"] = user
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.post(self.url + path, data=data, headers=sent) as answer:
            content = await answer.read()
            return answer.status, _read(content), answer.headers

    async def get(self, path: str, *, user: str = "kim", method: str = "GET") -> tuple[int, Any]:
        """Ask for something; give the status and the answer."""
        headers = {"x-goog-api-key": self.key, "x-jangbu-user": user}
        async with self.http.request(method, self.url + path, headers=headers) as answer:
            return answer.status, _read(await answer.read())

    async def generate(
        self, text: str = "hi", *, user: str = "kim", **config: Any
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Make a unary call."""
        return await self.post(f"/v1beta/models/{FLASH}:generateContent", asked(text, **config), user=user)

    async def used(self, user: str = "kim") -> tuple[int, int]:
        """Give the tokens that a user has used, and those that are held."""
        balance = await self.ledger.accounts.balance(user)
        return balance.used, balance.held


def asked(text: str = "hi", **config: Any) -> dict[str, Any]:
    """Give the body of a call."""
    body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    return {**body, "generationConfig": config} if config else body


def inline(*requests: Mapping[str, Any]) -> dict[str, Any]:
    """Give the body of a batch of calls."""
    return {"batch": {"inputConfig": {"requests": {"requests": [{"request": each} for each in requests]}}}}


def _read(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content


@asynccontextmanager
async def stage(database_url: str, gemini: FakeGemini, **settings: Any) -> AsyncIterator[Stage]:
    """Serve until the context is left."""
    own = {"database_url": database_url, "upstream_url": gemini.url, "gemini_api_key": UPSTREAM_KEY}
    given = {**own, "unit_priced_models": True, **settings}
    chosen = Settings.load(**given)
    async with open_metering(chosen) as ledger, open_gateway(chosen, ledger) as gateway:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            server = uvicorn.Server(uvicorn.Config(gateway, log_level="warning", access_log=False, lifespan="off"))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            _, key = await ledger.keys.create_for_app(f"shop-{port}")
            try:
                async with aiohttp.ClientSession() as http:
                    yield Stage(f"http://127.0.0.1:{port}", ledger, gateway, gemini, http, key)
            finally:
                server.should_exit = True
                await serving
