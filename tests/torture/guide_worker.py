"""An app's process that meters by the guide's own design: look at the balance, call, insert the usage, deduct it.

What its document leaves open is done as apps do it: a recording that fails is tried again as a whole, three times, and
the user gets the answer all the same.
"""

import asyncio
import json
import random
from contextlib import suppress
from typing import Any

import asyncpg
import httpx2
from benchmarks.guide_design import GuideDesign
from google.genai import errors, types

from tests.torture.guide_users import account_of
from tests.torture.plan import Life
from tests.torture.sdk_worker import received
from tests.torture.terms import LIFE_HEADER, POOR, Ask, Terms, drawn
from tests.torture.words import Say

__all__ = ["live"]

_CALLERS = 3
_CONNECTIONS = 2
_ATTEMPTS = 3
_PAUSE_SECONDS = 0.05
_LIVES_A_TOP_UP = 12
_LEFT = "SELECT balance - used_tokens FROM guide.user_tokens WHERE user_id = $1"
_TOP_UP = "UPDATE guide.user_tokens SET balance = balance + $2 WHERE user_id = $1"
_UNREACHABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


def live(life: Life, terms: Terms, client: Any, say: Say) -> None:
    """Call until the end."""
    asyncio.run(_live(life, terms, client, say))


async def _live(life: Life, terms: Terms, client: Any, say: Say) -> None:
    design = await _opened(terms.of_life(life.number))
    say("ready")
    if life.number % _LIVES_A_TOP_UP == 0:
        with suppress(*_UNREACHABLE):
            await design.pool.execute(_TOP_UP, account_of(POOR[life.number % len(POOR)]), terms.top_up_tokens)
    app = _App(design, client, life.number, say)
    dice = random.Random(life.seed)
    await asyncio.gather(*(app.call(random.Random(dice.random())) for _ in range(_CALLERS)))


async def _opened(dsn: str) -> GuideDesign:
    while True:
        try:
            return await GuideDesign.open(dsn, _CONNECTIONS, tuned=False)
        except _UNREACHABLE:
            await asyncio.sleep(_PAUSE_SECONDS)


class _App:
    def __init__(self, design: GuideDesign, client: Any, life: int, say: Say) -> None:
        self._design = design
        self._client = client
        self._life = life
        self._say = say

    async def call(self, dice: random.Random) -> None:
        """Make one call after another."""
        while True:
            ask = drawn(dice)
            try:
                left = await self._design.pool.fetchval(_LEFT, account_of(ask.user))
                if left < ask.output_most:
                    self._say("refused", code="insufficient_balance")
                    await asyncio.sleep(_PAUSE_SECONDS)
                    continue
                response = await asyncio.to_thread(self._answer, ask)
            except (*_UNREACHABLE, errors.APIError, httpx2.HTTPError) as failure:
                self._say("broken", why=type(failure).__name__)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            await self._record(ask, response)
            received(self._say, response)

    def _answer(self, ask: Ask) -> types.GenerateContentResponse:
        options = types.HttpOptions(headers={LIFE_HEADER: str(self._life)})
        config = types.GenerateContentConfig(max_output_tokens=ask.output_most, http_options=options)
        response: types.GenerateContentResponse = self._client.models.generate_content(
            model=ask.model, contents=ask.text, config=config
        )
        return response

    async def _record(self, ask: Ask, response: types.GenerateContentResponse) -> None:
        usage = response.usage_metadata
        assert usage is not None, "the fake reports usage"
        prompt, total = usage.prompt_token_count or 0, usage.total_token_count or 0
        metadata = json.dumps({"answer": response.response_id})
        for _ in range(_ATTEMPTS):
            with suppress(*_UNREACHABLE):
                await self._design.record(account_of(ask.user), prompt, total - prompt, total, 0, metadata)
                return
            await asyncio.sleep(_PAUSE_SECONDS)
        self._say("refused", code="recording_failed")
