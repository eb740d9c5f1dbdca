"""A ledger that is reached through its API: what a meter asks of a ledger, asked over HTTP.

A write is sent with a key that makes it the same write when it is sent again, so whatever gets lost on the way is sent
again until it is answered or the patience has an end.
"""

import asyncio
import hashlib
import json
import math
import random
import re
import time
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from http.client import HTTPException
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

from jangbu.domain.flow import Receipt
from jangbu.domain.forecast import Expiring
from jangbu.domain.ledger import USER_LENGTH_MAX, Balance, account_id
from jangbu.domain.usage import Usage
from jangbu.errors import InvalidAnswer, InvalidInput, JangbuError, LedgerUnreachable
from jangbu.metering.attached_tags import admitted_metadata
from jangbu.metering.postings import Posted
from jangbu.metering.view_tokens import ViewToken
from jangbu.providers.gemini.objects import answers_in
from jangbu.sdk.problems import error_of
from jangbu.sdk.wire import Answer, Wire

__all__ = ["RemoteLedger", "sendable"]

_PREFIX = "/api/v1"
_AGAIN = frozenset({429, 502, 503, 504})
_KEY = re.compile(r"[\x21-\x7e]{1,190}")
_MEDIA = frozenset({"data", "bytesBase64Encoded", "b64_json", "imageBytes", "videoBytes"})
"""The names under which answers hold media as texts in base64."""
_MEDIA_LENGTH_LEAST, _MEDIA_LENGTH_KEPT = 1_000, 4
_WAIT_FIRST_SECONDS = 0.1
_WAIT_MOST_SECONDS = 5.0


class RemoteLedger:
    """A ledger behind a server's API. Nothing of it is known before it is first asked."""

    def __init__(self, wire: Wire, key: str, *, patience_seconds: int) -> None:
        if _KEY.fullmatch(key or "") is None:
            raise InvalidInput("this is no key of Jangbu's", hint="`jangbu keys create` makes one")
        self._wire = wire
        self._key = key
        self._patience_seconds = patience_seconds

    @property
    def accounts(self) -> "RemoteLedger":
        """The accounts, which are asked for here, too."""
        return self

    @property
    def view_tokens(self) -> "RemoteLedger":
        """What makes tokens of users' views, which is asked for here, too."""
        return self

    async def make(self, user: str, seconds: int) -> ViewToken:
        """Make a token by which a user's own view may be read for a while."""
        made = await self._ask("POST", f"{_path_of(user)}/view-token", {"seconds": seconds})
        return ViewToken(made["token"], made["user"], datetime.fromisoformat(made["expires_at"]))

    async def close(self) -> None:
        """Close what is open to the server."""
        await asyncio.to_thread(self._wire.close)

    async def create(self, user: str) -> bool:
        """Open an account for a user; tell whether it is new."""
        _path_of(user)
        return bool((await self._ask("POST", "/accounts", {"user": user}))["is_new"])

    async def grant(
        self,
        user: str,
        tokens: int,
        *,
        key: str,
        expires_at: datetime | None = None,
        priority: int = 0,
        source: str = "purchase",
    ) -> Posted:
        """Give a user tokens that were bought or are a gift, once for the key."""
        body = {"amount": tokens, "priority": priority, "source": source, "expires_at": expires_at}
        made = await self._ask("POST", f"{_path_of(user)}/grants", body, once=_checked(key))
        return Posted(UUID(made["id"]), _balance(made), made["replayed"])

    async def balance(self, user: str) -> Balance:
        """Give what a user has in tokens."""
        return _balance(await self._ask("GET", f"{_path_of(user)}/balance"))

    async def expiring(self, user: str) -> Expiring | None:
        """Give what of a user's tokens expires within a week; None where nothing does."""
        found = (await self._ask("GET", f"{_path_of(user)}/balance")).get("expiring")
        if found is None:
            return None
        first, last = (datetime.fromisoformat(found[name]) for name in ("first_at", "last_at"))
        return Expiring(found["tokens"], first, last)

    async def record(
        self, user: str, service: str, model: str, response: object, usage: Usage, metadata: Mapping[str, Any] | None
    ) -> Receipt:
        """Have an answer recorded and deducted. ``usage`` is what was read of it here, whose id makes it the same."""
        _path_of(user)
        admitted_metadata(metadata or {})
        answer, tier = sendable(response)
        body = {"user": user, "service": service, "answer": answer, "model": model or None}
        more = {"service_tier": tier} if tier else {}
        made = await self._ask(
            "POST", "/records", {**body, **more, "metadata": dict(metadata or {})}, once=_key_of(usage)
        )
        return Receipt(
            UUID(made["id"]),
            made["user"],
            made["model"],
            made["charged_tokens"],
            made["cost_nano"],
            made["available"],
            made["held_before"],
            made["overrun"],
            made["status"] == "exists",
        )

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, once: str | None = None
    ) -> dict[str, Any]:
        """Ask until there is an answer. Raises the error that the server answers with, or LedgerUnreachable."""
        headers = {"authorization": f"Bearer {self._key}", "accept": "application/json"}
        content = None if body is None else _written(body)
        if content is not None:
            headers |= {
                "content-type": "application/json",
                "idempotency-key": _checked(uuid4().hex if once is None else once),
            }
        deadline, wait = time.monotonic() + self._patience_seconds, _WAIT_FIRST_SECONDS
        while True:
            try:
                return await self._once(method, path, content, headers)
            except _AgainError as again:
                # Callers that failed together shall not come again together.
                pause = max(again.seconds, wait) * random.uniform(1, 1.5)  # noqa: S311
                if time.monotonic() + pause > deadline:
                    raise again.told from again.__cause__
            await asyncio.sleep(pause)
            wait = min(2 * wait, _WAIT_MOST_SECONDS)

    async def _once(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> dict[str, Any]:
        try:
            answer = await asyncio.to_thread(self._wire.ask, method, _PREFIX + path, content, headers)
        except (OSError, HTTPException) as error:
            why = str(error) or type(error).__name__
            raise _AgainError(_unreachable(f"{self._wire.url} cannot be reached: {why}")) from error
        found, seconds = _read(answer), _seconds(answer)
        if answer.status < 300 and "schema_version" in found:
            return found
        told: JangbuError = _unreachable(f"{self._wire.url} answered {answer.status}, and not as Jangbu does")
        if "code" in found:
            told = error_of(found, seconds=seconds)
        if answer.status in _AGAIN:
            raise _AgainError(told, seconds)
        raise told


class _AgainError(Exception):
    """What may be answered when it is asked again after some seconds; ``told`` is raised where it never is."""

    def __init__(self, told: JangbuError, seconds: int = 0) -> None:
        super().__init__(str(told))
        self.told = told
        self.seconds = seconds


def sendable(response: object) -> tuple[Any, str | None]:
    """Give an answer as JSON that the API takes, and the tier of service that only its headers tell.

    What no usage is read from is left out where a library holds it as bytes, and in a dict also where it is bytes in
    base64: an image need not travel again, and may be larger than what the API takes. Raises InvalidAnswer.
    """
    if isinstance(response, str):
        return _plain(response), None
    if isinstance(response, bytes | bytearray | memoryview):
        try:
            return bytes(response).decode(), None
        except UnicodeDecodeError:
            raise InvalidAnswer(
                "these bytes are no UTF-8, so they cannot be sent",
                hint="give the answer as the client returned it; what Windows PowerShell writes by > is UTF-16",
            ) from None
    found = answers_in(response)
    tier = found.headers.get("x-gemini-service-tier")
    if found.body is not None:
        return found.body.decode("utf-8", "replace"), tier
    objects = [_plain(each) for each in found.objects]
    return objects if found.is_stream else objects[0], tier


def _plain(value: Any) -> Any:
    """Give a value as JSON has it: strings of whole characters, finite numbers, and no bytes. Of what is an image no
    more is left than that there is one: it is paid for by the piece.
    """
    if isinstance(value, Enum):
        # A library's own text of one begins with the name of its class, by which nobody knows a modality.
        value = value.value
    if isinstance(value, Mapping):
        return {
            _plain(str(name)): inner[:_MEDIA_LENGTH_KEPT] if _is_media(name, inner) else _plain(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return ""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    return str(value).encode("utf-8", "replace").decode()


def _is_media(name: object, value: object) -> bool:
    return name in _MEDIA and isinstance(value, str) and len(value) > _MEDIA_LENGTH_LEAST


def _key_of(usage: Usage) -> str:
    """Give the key of a record: an answer with an id is the same whoever sends it, another one only in this request."""
    if usage.response_id is None:
        return uuid4().hex
    return f"answer-{hashlib.sha256(usage.response_id.encode('utf-8', 'replace')).hexdigest()}"


def _path_of(user: str) -> str:
    """Give the path of a user's account, in which no name means another one. Raises InvalidInput for what is none."""
    if not isinstance(user, str):
        raise InvalidInput(f"{user!r} is no user id", hint=f"use 1 to {USER_LENGTH_MAX} printable characters")
    account_id("", user)
    return f"/accounts/{quote(user, safe='').replace('.', '%2E')}"


def _checked(key: str) -> str:
    if _KEY.fullmatch(str(key)) is None or not isinstance(key, str):
        raise InvalidInput(
            f"{str(key)[:40]!r} is no idempotency key",
            hint="over the API it has 1 to 190 ASCII characters without blanks",
        )
    return key


def _written(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, default=_moment).encode()
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"this cannot be sent as JSON: {error}") from None


def _moment(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no JSON")


def _read(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(answer: Answer) -> int:
    given = answer.headers.get("retry-after", "")
    return int(given) if given.isdecimal() and len(given) < 6 else 1


def _balance(found: Mapping[str, int]) -> Balance:
    return Balance(granted=found["balance"], used=found["used_tokens"], held=found["held_tokens"])


def _unreachable(what: str) -> LedgerUnreachable:
    return LedgerUnreachable(what, hint="look whether `jangbu serve` runs there, and at the address")
