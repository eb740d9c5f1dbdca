"""The API that serves over HTTP on a real ledger, and keys of every role: what its tests play on."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp
import uvicorn
from yarl import URL

from jangbu.api.app import open_app
from jangbu.api.requests import Observed
from jangbu.config import Settings
from jangbu.domain.keys import Role
from jangbu.metering.meter import Metering
from jangbu.wiring import open_metering

ROLES = tuple(role for role in Role if role is not Role.USER)
USERS = ("kim", "이서연")


@dataclass(frozen=True)
class Answered:
    """An answer over HTTP."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """The code of a problem, which is one in every respect."""
        assert self.headers["content-type"] == "application/problem+json", self.body
        assert self.body["status"] == self.status
        assert self.body["type"] == f"urn:jangbu:error:{self.body['code']}"
        assert self.body["request_id"] == self.headers["x-request-id"]
        assert self.body["schema_version"] == 1
        return str(self.body["code"])

    @property
    def ok(self) -> Any:
        """The body of a success."""
        assert self.status in (200, 201, 202), self.body
        assert self.body["schema_version"] == 1
        return self.body


@dataclass
class Stage:
    """The API, the ledger beneath it, and the secret of a key of each role, and of one for each user."""

    url: str
    ledger: Metering
    settings: Settings
    http: aiohttp.ClientSession
    secrets: dict[str, str] = field(default_factory=dict)
    numbers: "count[int]" = field(default_factory=count)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = Role.OWNER,
        once: str | None = "",
        **more: str,
    ) -> Answered:
        """Ask with the key of a role or a user, or with this secret; under an idempotency key of its own by default."""
        headers = dict(more)
        if key is not None:
            headers["authorization"] = f"Bearer {self.secrets.get(key, key)}"
        if method == "POST" and once is not None:
            headers["idempotency-key"] = once or f"own-{next(self.numbers)}"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            headers.setdefault("content-type", "application/json")
        address = URL(f"{self.url}/api/v1{path}", encoded=True)
        async with self.http.request(method, address, data=data, headers=headers) as answer:
            content = await answer.read()
            is_json = answer.content_type.endswith("json")
            return Answered(answer.status, json.loads(content) if content and is_json else None, answer.headers)

    async def file(self, path: str, *, key: str = Role.OWNER) -> tuple[bytes, Mapping[str, str]]:
        """Ask for a file; give it whole, with its headers. Raises what aiohttp does for one that broke off."""
        headers = {"authorization": f"Bearer {self.secrets.get(key, key)}"}
        async with self.http.get(URL(f"{self.url}/api/v1{path}", encoded=True), headers=headers) as answer:
            content = await answer.read()
            assert answer.status == 200, content
            return content, answer.headers

    async def get(self, path: str, *, key: str | None = Role.OWNER, **more: str) -> Answered:
        return await self.ask("GET", path, key=key, **more)

    async def post(
        self, path: str, body: Any = None, *, key: str | None = Role.OWNER, once: str | None = "", **more: str
    ) -> Answered:
        return await self.ask("POST", path, body, key=key, once=once, **more)

    async def open(self, user: str, tokens: int = 1_000_000) -> str:
        """Open an account with tokens."""
        await self.ledger.accounts.create(user)
        if tokens:
            await self.ledger.accounts.grant(user, tokens, key=f"first-{user}")
        return user


@asynccontextmanager
async def stage(database_url: str, **given: Any) -> AsyncIterator[Stage]:
    """Serve until the context is left."""
    settings = Settings.load(database_url=database_url, **given)
    async with open_metering(settings) as ledger, open_app(settings, ledger) as app:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            observed = Observed(app)
            server = uvicorn.Server(uvicorn.Config(observed, log_level="warning", access_log=False, lifespan="off"))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                async with aiohttp.ClientSession() as http:
                    served = Stage(f"http://127.0.0.1:{listener.getsockname()[1]}", ledger, settings, http)
                    await _with_keys(served)
                    yield served
            finally:
                server.should_exit = True
                await serving
                observed.close()


async def _with_keys(served: Stage) -> None:
    for role in ROLES:
        _, served.secrets[role] = await served.ledger.keys.create_for_app(role.name, scopes=[role])
    _, served.secrets["gateway"] = await served.ledger.keys.create_for_app("gateway")
    for user in USERS:
        await served.open(user)
        _, served.secrets[user] = await served.ledger.keys.create_for_user(user, name=user)


def answer(
    number: int = 1, *, prompt: int = 150, candidates: int = 300, model: str = "gemini-2.5-flash"
) -> dict[str, Any]:
    """Give an answer as Gemini gives it."""
    counts = {"promptTokenCount": prompt, "candidatesTokenCount": candidates, "totalTokenCount": prompt + candidates}
    return {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "안녕하세요"}]}, "finishReason": "STOP"}],
        "usageMetadata": counts,
        "modelVersion": model,
        "responseId": f"answer-{number}",
    }


def record(number: int = 1, *, user: str = "kim", **more: Any) -> dict[str, Any]:
    """Give what is sent to have an answer recorded."""
    return {"user": user, "service": "text_generation", "answer": answer(number), **more}
