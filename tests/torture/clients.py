"""The clients of the gateways: nobody kills them, so they know what they have received whole."""

import asyncio
import json
import random
import sys
from collections.abc import Mapping
from typing import Any

import aiohttp

from tests.torture.orphans import die_with_parent
from tests.torture.terms import Ask, drawn
from tests.torture.words import Say

__all__ = ["main"]

_CALLERS = 8
_PATIENCE = aiohttp.ClientTimeout(total=30)
_PAUSE_SECONDS = 0.05
_DATA = b"data: "


class Caller:
    """Calls one gateway or the other until it is told to end."""

    def __init__(self, http: aiohttp.ClientSession, urls: list[str], key: str, dice: random.Random, say: Say) -> None:
        self._http = http
        self._urls = urls
        self._key = key
        self._dice = dice
        self._say = say

    async def call(self, ends: asyncio.Event) -> None:
        """Make one call after another."""
        while not ends.is_set():
            ask = drawn(self._dice)
            try:
                if not await self._made(ask):
                    await asyncio.sleep(_PAUSE_SECONDS)
            except (aiohttp.ClientError, TimeoutError, OSError) as failure:
                self._say("broken", why=type(failure).__name__)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _made(self, ask: Ask) -> bool:
        verb = "streamGenerateContent?alt=sse" if ask.streams else "generateContent"
        body = {
            "contents": [{"role": "user", "parts": [{"text": ask.text}]}],
            "generationConfig": {"maxOutputTokens": ask.output_most},
        }
        url = f"{self._dice.choice(self._urls)}/v1beta/models/{ask.model}:{verb}"
        headers = {"x-goog-api-key": self._key, "x-jangbu-user": ask.user, "x-jangbu-service": "torture"}
        async with self._http.post(url, json=body, headers=headers) as answer:
            if answer.status != 200:
                self._say("refused", code=_reason(answer.status, await answer.read()))
                return False
            if ask.streams:
                await self._stream(ask, answer)
            else:
                self._received(json.loads(await answer.read()))
        return True

    async def _stream(self, ask: Ask, answer: aiohttp.ClientResponse) -> None:
        number = 0
        async for line in answer.content:
            if not line.startswith(_DATA):
                continue
            number += 1
            if number == ask.leaves_after:
                answer.close()
                self._say("left")
                return
            chunk = json.loads(line[len(_DATA) :])
            if any("finishReason" in each for each in chunk.get("candidates", ())):
                self._received(chunk)

    def _received(self, response: Mapping[str, Any]) -> None:
        usage = response["usageMetadata"]
        self._say(
            "whole",
            answer=response["responseId"],
            prompt=usage.get("promptTokenCount", 0),
            candidates=usage.get("candidatesTokenCount", 0),
            thoughts=usage.get("thoughtsTokenCount", 0),
            total=usage.get("totalTokenCount", 0),
        )


def _reason(status: int, body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["details"][0]["reason"]).lower()
    except (ValueError, LookupError, TypeError):
        return str(status)


async def _call(key: str, seed: int, urls: list[str], say: Say) -> None:
    dice = random.Random(seed)
    ends = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, ends.set)
    async with aiohttp.ClientSession(timeout=_PATIENCE) as http:
        callers = [Caller(http, urls, key, random.Random(dice.random()), say) for _ in range(_CALLERS)]
        await asyncio.gather(*(caller.call(ends) for caller in callers))


def main() -> None:
    """Call until standard input ends; the arguments are the pipe to speak through, a key, a seed and the addresses."""
    die_with_parent()
    voice, key, seed, *urls = sys.argv[1:]
    asyncio.run(_call(key, int(seed), urls, Say(int(voice), 0)))


if __name__ == "__main__":
    main()
